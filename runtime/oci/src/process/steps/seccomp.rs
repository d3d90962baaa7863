//! The filter of system calls: rules compiled to the kernel's programs by `seccompiler`, and installed.
//!
//! A program of that crate has one answer for what its rules match, so there is one for each answer: the first lets everything pass that any
//! rule is about and gives the rest the default; each of the others gives its own answer to what its rules match. Of several programs'
//! answers the kernel takes the most severe (seccomp(2)).

use std::collections::BTreeMap;
use std::str::FromStr;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall, Spec,
};
use runtime_sys::seccomp::Instruction;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use syscalls::Sysno;

use crate::Error;

/// The errno of rules that do not name one.
const EPERM: u32 = 1;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Installs the configuration's filter, if it has one, for this process and its children. While all capabilities are held still: without
/// CAP_SYS_ADMIN, the kernel wants no_new_privs. So the filter has to allow what is left to be done.
pub fn install(spec: &Spec) -> Result<(), Error> {
    let Some(filter) = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref()) else {
        return Ok(());
    };
    for program in compile(filter)? {
        let program: Vec<Instruction> = program
            .iter()
            .map(|it| Instruction { code: it.code, if_true: it.jt, if_false: it.jf, constant: it.k })
            .collect();
        runtime_sys::seccomp::install(&program).map_err(Error::io("install the filter of system calls"))?;
    }
    Ok(())
}

fn compile(filter: &LinuxSeccomp) -> Result<Vec<BpfProgram>, Error> {
    let rules = filter.syscalls().as_deref().unwrap_or_default();
    let default = action(filter.default_action(), filter.default_errno_ret())?;
    let mut programs = Vec::new();
    if default != SeccompAction::Allow {
        programs.push(program(rules.iter(), default.clone(), SeccompAction::Allow)?);
    }
    let mut answers: Vec<SeccompAction> = Vec::new();
    for rule in rules {
        let answer = action(rule.action(), rule.errno_ret())?;
        if answer != SeccompAction::Allow && !answers.contains(&answer) {
            answers.push(answer);
        }
    }
    for answer in answers {
        let own = rules.iter().filter(|rule| {
            action(rule.action(), rule.errno_ret()).is_ok_and(|its_answer| its_answer == answer)
        });
        programs.push(program(own, SeccompAction::Allow, answer.clone())?);
    }
    Ok(programs)
}

fn program<'a>(
    rules: impl Iterator<Item = &'a LinuxSyscall>,
    otherwise: SeccompAction,
    answer: SeccompAction,
) -> Result<BpfProgram, Error> {
    let mut table = Rules::new();
    for rule in rules {
        for name in rule.names() {
            // One that this list of calls lacks, no program has either.
            let Ok(call) = Sysno::from_str(name) else { continue };
            add(&mut table, i64::from(call.id()), rule.args().as_deref().unwrap_or_default())?;
        }
    }
    let broken = |error: seccompiler::BackendError| Error::Seccomp(error.to_string());
    let filter = SeccompFilter::new(table, otherwise, answer, TargetArch::x86_64).map_err(broken)?;
    BpfProgram::try_from(filter).map_err(broken)
}

/// Adds a rule for a call. No rules at all match it whatever its arguments are, and nothing can be added to that.
fn add(table: &mut Rules, call: i64, args: &[LinuxSeccompArg]) -> Result<(), Error> {
    let is_new = !table.contains_key(&call);
    let rules = table.entry(call).or_default();
    if args.is_empty() {
        rules.clear();
    } else if is_new || !rules.is_empty() {
        let conditions = args.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        rules.push(SeccompRule::new(conditions).map_err(|error| Error::Seccomp(error.to_string()))?);
    }
    Ok(())
}

fn condition(arg: &LinuxSeccompArg) -> Result<SeccompCondition, Error> {
    let (op, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (SeccompCmpOp::Ne, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (SeccompCmpOp::Lt, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (SeccompCmpOp::Le, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (SeccompCmpOp::Eq, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (SeccompCmpOp::Ge, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (SeccompCmpOp::Gt, arg.value()),
        // The mask, and what is left under it.
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            (SeccompCmpOp::MaskedEq(arg.value()), arg.value_two().unwrap_or_default())
        }
    };
    let index =
        u8::try_from(arg.index()).map_err(|_| Error::Seccomp("an index beyond the arguments".to_owned()))?;
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, op, value)
        .map_err(|error| Error::Seccomp(error.to_string()))
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<SeccompAction, Error> {
    Ok(match action {
        LinuxSeccompAction::ScmpActAllow => SeccompAction::Allow,
        LinuxSeccompAction::ScmpActErrno => SeccompAction::Errno(errno.unwrap_or(EPERM)),
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => SeccompAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => SeccompAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => SeccompAction::Trap,
        LinuxSeccompAction::ScmpActLog => SeccompAction::Log,
        LinuxSeccompAction::ScmpActTrace => SeccompAction::Trace(errno.unwrap_or(EPERM)),
        LinuxSeccompAction::ScmpActNotify => {
            return Err(Error::Unsupported { what: "seccomp action", value: "SCMP_ACT_NOTIFY".to_owned() });
        }
    })
}
