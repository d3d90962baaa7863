//! Command descriptor blocks.

/// A command descriptor block, padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command(pub(crate) [u8; 32]);

const TEST_UNIT_READY: u8 = 0x00;
const INQUIRY: u8 = 0x12;
const MODE_SENSE_6: u8 = 0x1a;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8a;
const SERVICE_ACTION_IN_16: u8 = 0x9e;
const READ_CAPACITY_16: u8 = 0x10;
const REPORT_LUNS: u8 = 0xa0;

/// The vital product data page with the serial number.
const PAGE_SERIAL: u8 = 0x80;
/// All mode pages.
const PAGE_ALL: u8 = 0x3f;

impl Command {
    /// Whether the unit is there and ready. Also takes the unit attention that a reset leaves.
    pub fn test_unit_ready() -> Self {
        Self::new(&[TEST_UNIT_READY, 0, 0, 0, 0, 0])
    }

    /// What the unit is.
    pub fn inquiry(len: u8) -> Self {
        Self::new(&[INQUIRY, 0, 0, 0, len, 0])
    }

    /// Its serial number.
    pub fn inquire_serial(len: u8) -> Self {
        Self::new(&[INQUIRY, 1, PAGE_SERIAL, 0, len, 0])
    }

    /// The parameters of its medium, whether it is protected among them.
    pub fn mode_sense(len: u8) -> Self {
        Self::new(&[MODE_SENSE_6, 0, PAGE_ALL, 0, len, 0])
    }

    /// How large it is.
    pub fn read_capacity(len: u32) -> Self {
        Self::wide([SERVICE_ACTION_IN_16, READ_CAPACITY_16], 0, len)
    }

    /// The units of a target; sent to unit 0.
    pub fn report_luns(len: u32) -> Self {
        let [a, b, c, d] = len.to_be_bytes();
        Self::new(&[REPORT_LUNS, 0, 0, 0, 0, 0, a, b, c, d, 0, 0])
    }

    /// Reads logical blocks.
    pub fn read(block: u64, blocks: u32) -> Self {
        Self::wide([READ_16, 0], block, blocks)
    }

    /// Writes logical blocks.
    pub fn write(block: u64, blocks: u32) -> Self {
        Self::wide([WRITE_16, 0], block, blocks)
    }

    /// Makes what was written durable.
    pub fn synchronize_cache() -> Self {
        Self::new(&[SYNCHRONIZE_CACHE_10, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn wide(start: [u8; 2], block: u64, number: u32) -> Self {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&start);
        bytes[2..10].copy_from_slice(&block.to_be_bytes());
        bytes[10..14].copy_from_slice(&number.to_be_bytes());
        Self::new(&bytes)
    }

    fn new(start: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..start.len()].copy_from_slice(start);
        Self(bytes)
    }
}
