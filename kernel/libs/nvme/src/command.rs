//! Submission queue entries (Base Specification, 3.3.3.1 and 5; NVM Command Set, 3.2).

const FLUSH: u8 = 0x00;
const WRITE: u8 = 0x01;
const READ: u8 = 0x02;

const CREATE_SUBMISSION_QUEUE: u8 = 0x01;
const CREATE_COMPLETION_QUEUE: u8 = 0x05;
const IDENTIFY: u8 = 0x06;
const SET_FEATURES: u8 = 0x09;

const FEATURE_QUEUES: u32 = 7;

const CNS_NAMESPACE: u32 = 0;
const CNS_CONTROLLER: u32 = 1;
const CNS_NAMESPACES: u32 = 2;

/// A queue's memory is contiguous.
const CONTIGUOUS: u32 = 1;
const INTERRUPTS: u32 = 2;

/// Where a command's data is: the first page, and the second one or a list of all that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pages {
    /// The first page.
    pub first: u64,
    /// The second page if there are two, a list of addresses if there are more, else 0.
    pub rest: u64,
}

/// A command, but for its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Command {
    opcode: u8,
    namespace: u32,
    pages: Pages,
    /// Command dwords 10 to 12.
    words: [u32; 3],
}

impl Command {
    /// Asks for the 4 KiB that describe the controller.
    pub fn identify_controller(page: u64) -> Self {
        Self::identify(CNS_CONTROLLER, 0, page)
    }

    /// Asks for the 4 KiB that describe a namespace.
    pub fn identify_namespace(namespace: u32, page: u64) -> Self {
        Self::identify(CNS_NAMESPACE, namespace, page)
    }

    /// Asks for the identifiers of active namespaces.
    pub fn list_namespaces(page: u64) -> Self {
        Self::identify(CNS_NAMESPACES, 0, page)
    }

    /// Asks for `count` pairs of queues, from 1; the answer is in the completion ([`crate::identify::granted_queues`]).
    pub fn request_queues(count: u16) -> Self {
        let last = u32::from(count.saturating_sub(1));
        Self { opcode: SET_FEATURES, words: [FEATURE_QUEUES, last << 16 | last, 0], ..Self::default() }
    }

    /// Makes completion queue `id`, which tells by interrupt `vector`.
    pub fn create_completions(id: u16, entries: u16, memory: u64, vector: u16) -> Self {
        let flags = u32::from(vector) << 16 | INTERRUPTS | CONTIGUOUS;
        Self::create(CREATE_COMPLETION_QUEUE, id, entries, memory, flags)
    }

    /// Makes submission queue `id`, whose completions go to the completion queue of the same number.
    pub fn create_submissions(id: u16, entries: u16, memory: u64) -> Self {
        Self::create(CREATE_SUBMISSION_QUEUE, id, entries, memory, u32::from(id) << 16 | CONTIGUOUS)
    }

    /// Reads `blocks` (from 1) logical blocks.
    pub fn read(namespace: u32, block: u64, blocks: u16, pages: Pages) -> Self {
        Self::transfer(READ, namespace, block, blocks, pages)
    }

    /// Writes `blocks` (from 1) logical blocks.
    pub fn write(namespace: u32, block: u64, blocks: u16, pages: Pages) -> Self {
        Self::transfer(WRITE, namespace, block, blocks, pages)
    }

    /// Makes what was written durable.
    pub fn flush(namespace: u32) -> Self {
        Self { opcode: FLUSH, namespace, ..Self::default() }
    }

    fn identify(what: u32, namespace: u32, page: u64) -> Self {
        let pages = Pages { first: page, rest: 0 };
        Self { opcode: IDENTIFY, namespace, pages, words: [what, 0, 0] }
    }

    fn create(opcode: u8, id: u16, entries: u16, memory: u64, flags: u32) -> Self {
        let last = u32::from(entries.saturating_sub(1));
        let pages = Pages { first: memory, rest: 0 };
        Self { opcode, namespace: 0, pages, words: [last << 16 | u32::from(id), flags, 0] }
    }

    fn transfer(opcode: u8, namespace: u32, block: u64, blocks: u16, pages: Pages) -> Self {
        let words = [block as u32, (block >> 32) as u32, u32::from(blocks.saturating_sub(1))];
        Self { opcode, namespace, pages, words }
    }

    /// The entry, as eight little-endian words of eight bytes.
    pub(crate) fn encode(&self, id: u16) -> [u64; 8] {
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let [ten, eleven, twelve] = self.words;
        [
            pair(u32::from(id) << 16 | u32::from(self.opcode), self.namespace),
            0,
            0,
            self.pages.first,
            self.pages.rest,
            pair(ten, eleven),
            pair(twelve, 0),
            0,
        ]
    }
}
