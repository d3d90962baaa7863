//! Questions and answers, as RFC 1035 has them.

use std::net::Ipv4Addr;

use simple_dns::rdata::{A, PTR, RData};
use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};

use super::directory::Directory;

/// How long an answer may be kept, in seconds. Containers come and go.
const LIFETIME_S: u32 = 600;
/// The header of a message, in bytes; the second bit of its third byte is "truncated".
const HEADER: usize = 12;
const TRUNCATED: u8 = 0x02;
/// The longest answer in a datagram to who did not say that he takes more (RFC 1035, section 4.2.1).
const USUAL_DATAGRAM: usize = 512;
/// The most that one is sent, whatever he takes.
const LONGEST_DATAGRAM: usize = 4096;

/// What a question comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Answer(Vec<u8>),
    /// Others may know.
    Forward,
    /// It is none.
    Ignore,
}

/// Judges a question by the directory.
pub fn judge(question: &[u8], directory: &Directory) -> Verdict {
    let Ok(packet) = Packet::parse(question) else { return Verdict::Ignore };
    if packet.has_flags(PacketFlag::RESPONSE) {
        return Verdict::Ignore;
    }
    // There is one question in practice, and several have no agreed meaning (RFC 9619).
    let (OPCODE::StandardQuery, [asked]) = (packet.opcode(), packet.questions.as_slice()) else {
        return failure(question).map_or(Verdict::Ignore, Verdict::Answer);
    };
    if !matches!(asked.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY) {
        return Verdict::Forward;
    }
    let name = asked.qname.to_string();
    let records = match (reversed(&name), asked.qtype) {
        (Some(address), QTYPE::TYPE(TYPE::PTR)) => directory.name(address).map(|called| {
            let record = Name::new(&called).map(|called| RData::PTR(PTR(called.into_owned())));
            record.into_iter().collect()
        }),
        _ => directory.addresses(&name).map(|addresses| match asked.qtype {
            QTYPE::TYPE(TYPE::A) | QTYPE::ANY => {
                addresses.into_iter().map(|address| RData::A(A { address: address.into() })).collect()
            }
            // The name is known, and has nothing else.
            _ => Vec::new(),
        }),
    };
    match records {
        Some(records) => write(&packet, asked, records).map_or(Verdict::Ignore, Verdict::Answer),
        None => Verdict::Forward,
    }
}

fn write(question: &Packet<'_>, asked: &Question<'_>, records: Vec<RData<'_>>) -> Option<Vec<u8>> {
    let mut answer = reply_to(question);
    answer.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    answer.questions.push(asked.clone());
    for data in records {
        answer.answers.push(ResourceRecord::new(asked.qname.clone(), CLASS::IN, LIFETIME_S, data));
    }
    answer.build_bytes_vec_compressed().ok()
}

/// The answer that there is no answer, to a question that can be read.
pub fn failure(question: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::parse(question).ok()?;
    let mut answer = reply_to(&packet);
    *answer.rcode_mut() = RCODE::ServerFailure;
    answer.questions.clone_from(&packet.questions);
    answer.build_bytes_vec_compressed().ok()
}

fn reply_to(question: &Packet<'_>) -> Packet<'static> {
    let mut answer = Packet::new_reply(question.id());
    *answer.opcode_mut() = question.opcode();
    answer.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if question.has_flags(PacketFlag::RECURSION_DESIRED) {
        answer.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    answer
}

/// Cuts an answer to what a datagram to this asker may have. He asks again, over a connection.
pub fn fit(question: &[u8], mut answer: Vec<u8>) -> Vec<u8> {
    let taken = Packet::parse(question).ok().and_then(|packet| packet.opt().map(|opt| opt.udp_packet_size));
    let longest = usize::from(taken.unwrap_or_default()).clamp(USUAL_DATAGRAM, LONGEST_DATAGRAM);
    if answer.len() <= longest {
        return answer;
    }
    // Header and question alone, with the counts of everything after them zero.
    let whole = Packet::parse(&answer).ok().and_then(|packet| {
        let mut short = reply_to(&packet);
        short.questions.clone_from(&packet.questions);
        short.build_bytes_vec_compressed().ok()
    });
    answer = whole.unwrap_or_default();
    if let Some(flags) = answer.get_mut(2) {
        *flags |= TRUNCATED;
    }
    answer
}

/// Whether this is the answer to that question, by the number and the question itself.
pub fn is_answer(question: &[u8], answer: &[u8]) -> bool {
    let number = |message: &[u8]| message.get(..2).map(<[u8]>::to_vec);
    if answer.len() < HEADER || number(question) != number(answer) {
        return false;
    }
    let (Ok(question), Ok(answer)) = (Packet::parse(question), Packet::parse(answer)) else { return false };
    let asked = |packet: &Packet<'_>| {
        let one = packet.questions.first()?;
        Some((one.qname.to_string().to_ascii_lowercase(), format!("{:?}", one.qtype)))
    };
    // An answer without a question is a refusal, which some write so.
    answer.has_flags(PacketFlag::RESPONSE)
        && (answer.questions.is_empty() || asked(&question) == asked(&answer))
}

/// The address that a name below in-addr.arpa is about.
fn reversed(name: &str) -> Option<Ipv4Addr> {
    const DOMAIN: &str = ".in-addr.arpa";
    let start = name.len().checked_sub(DOMAIN.len())?;
    let (digits, domain) = name.split_at_checked(start)?;
    let address: Ipv4Addr = domain.eq_ignore_ascii_case(DOMAIN).then_some(digits)?.parse().ok()?;
    let [a, b, c, d] = address.octets();
    Some(Ipv4Addr::new(d, c, b, a))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn directory() -> Directory {
        Directory::of(&[("net", [10, 0, 0, 2], &["web"]), ("net", [10, 0, 0, 3], &["db", "web"])])
    }

    fn question(name: &str, kind: TYPE) -> Vec<u8> {
        let mut packet = Packet::new_query(4711);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(name).unwrap().into_owned();
        packet.questions.push(Question::new(name, kind.into(), CLASS::IN.into(), false));
        packet.build_bytes_vec().unwrap()
    }

    fn answer(name: &str, kind: TYPE) -> Vec<String> {
        let question = question(name, kind);
        let Verdict::Answer(answer) = judge(&question, &directory()) else {
            panic!("{name} is not answered")
        };
        assert!(is_answer(&question, &answer));
        let packet = Packet::parse(&answer).unwrap();
        assert_eq!((packet.id(), packet.rcode()), (4711, RCODE::NoError));
        let text = |record: &ResourceRecord<'_>| match &record.rdata {
            RData::A(A { address }) => Ipv4Addr::from(*address).to_string(),
            RData::PTR(name) => name.0.to_string(),
            other => format!("{other:?}"),
        };
        packet.answers.iter().map(text).collect()
    }

    #[test]
    fn known_names_are_answered_and_others_passed_on() {
        assert_eq!(answer("web", TYPE::A), ["10.0.0.2", "10.0.0.3"]);
        assert_eq!(answer("DB.net", TYPE::A), ["10.0.0.3"]);
        assert_eq!(answer("web", TYPE::AAAA), [""; 0]);
        assert_eq!(answer("3.0.0.10.in-addr.arpa", TYPE::PTR), ["db.net"]);
        for (name, kind) in [("example.org", TYPE::A), ("9.0.0.10.in-addr.arpa", TYPE::PTR)] {
            assert_eq!(judge(&question(name, kind), &directory()), Verdict::Forward, "{name}");
        }
    }

    #[test]
    fn long_answers_are_cut_for_datagrams() {
        let many: Vec<_> = (1..=100).map(|last| ("net", [10, 0, 0, last], &["web"][..])).collect();
        let question = question("web", TYPE::A);
        let Verdict::Answer(answer) = judge(&question, &Directory::of(&many)) else { panic!("not answered") };
        assert_eq!(Packet::parse(&answer).unwrap().answers.len(), 100);
        let cut = fit(&question, answer);
        let packet = Packet::parse(&cut).unwrap();
        assert!(packet.has_flags(PacketFlag::TRUNCATION) && packet.answers.is_empty());
        assert!(is_answer(&question, &cut));
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let asked = question("example.org", TYPE::A);
        let failed = failure(&asked).unwrap();
        assert!(is_answer(&asked, &failed));
        assert!(!is_answer(&asked, &asked));
        assert!(!is_answer(&asked, &failure(&question("example.com", TYPE::A)).unwrap()));
        let mut other = failed.clone();
        other[0] ^= 1;
        assert!(!is_answer(&asked, &other));
        assert!(!is_answer(&asked, &failed[..4]));
    }

    proptest! {
        #[test]
        fn anything_is_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..40_usize, byte in any::<u8>()) {
            judge(&bytes, &directory());
            fit(&bytes, bytes.clone());
            // Close to a question, too, where names may point at each other.
            let mut close = question("a.web.example.org", TYPE::A);
            let len = close.len();
            close[at % len] = byte;
            close.extend(&bytes);
            judge(&close, &directory());
            is_answer(&close, &bytes);
            failure(&close);
        }
    }
}
