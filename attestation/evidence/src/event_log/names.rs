//! Types of events (TCG PC Client Platform Firmware Profile 1.06, table 27).

pub const NO_ACTION: u32 = 3;
const SEPARATOR: u32 = 4;
const EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
const EFI_GPT_EVENT: u32 = 0x8000_0006;
const EFI_ACTION: u32 = 0x8000_0007;

/// Whether the profile says that such an event's digest is that of its data.
///
/// `EV_EFI_VARIABLE_BOOT` is not among them: firmware measures either the variable's value or all of the data.
pub const fn must_be_bound(kind: u32) -> bool {
    matches!(kind, SEPARATOR | EFI_VARIABLE_DRIVER_CONFIG | EFI_GPT_EVENT | EFI_ACTION)
}

/// The name of an event's type; `None` if the profile has none.
#[must_use]
pub const fn event_type_name(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0x0 => "EV_PREBOOT_CERT",
        0x1 => "EV_POST_CODE",
        NO_ACTION => "EV_NO_ACTION",
        SEPARATOR => "EV_SEPARATOR",
        0x5 => "EV_ACTION",
        0x6 => "EV_EVENT_TAG",
        0x7 => "EV_S_CRTM_CONTENTS",
        0x8 => "EV_S_CRTM_VERSION",
        0x9 => "EV_CPU_MICROCODE",
        0xa => "EV_PLATFORM_CONFIG_FLAGS",
        0xb => "EV_TABLE_OF_DEVICES",
        0xc => "EV_COMPACT_HASH",
        0xd => "EV_IPL",
        0xe => "EV_IPL_PARTITION_DATA",
        0xf => "EV_NONHOST_CODE",
        0x10 => "EV_NONHOST_CONFIG",
        0x11 => "EV_NONHOST_INFO",
        0x12 => "EV_OMIT_BOOT_DEVICE_EVENTS",
        0x13 => "EV_POST_CODE2",
        EFI_VARIABLE_DRIVER_CONFIG => "EV_EFI_VARIABLE_DRIVER_CONFIG",
        0x8000_0002 => "EV_EFI_VARIABLE_BOOT",
        0x8000_0003 => "EV_EFI_BOOT_SERVICES_APPLICATION",
        0x8000_0004 => "EV_EFI_BOOT_SERVICES_DRIVER",
        0x8000_0005 => "EV_EFI_RUNTIME_SERVICES_DRIVER",
        EFI_GPT_EVENT => "EV_EFI_GPT_EVENT",
        EFI_ACTION => "EV_EFI_ACTION",
        0x8000_0008 => "EV_EFI_PLATFORM_FIRMWARE_BLOB",
        0x8000_0009 => "EV_EFI_HANDOFF_TABLES",
        0x8000_000a => "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
        0x8000_000b => "EV_EFI_HANDOFF_TABLES2",
        0x8000_000c => "EV_EFI_VARIABLE_BOOT2",
        0x8000_000d => "EV_EFI_GPT_EVENT2",
        0x8000_0010 => "EV_EFI_HCRTM_EVENT",
        0x8000_00e0 => "EV_EFI_VARIABLE_AUTHORITY",
        0x8000_00e1 => "EV_EFI_SPDM_FIRMWARE_BLOB",
        0x8000_00e2 => "EV_EFI_SPDM_FIRMWARE_CONFIG",
        _ => return None,
    })
}
