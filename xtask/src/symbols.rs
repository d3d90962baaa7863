//! Turns addresses in the kernel's last words into names and lines, from the unstripped twin of the same build.

use std::path::Path;

use anyhow::Context as _;

/// Where kernel text lies (linked in the top 2 GiB).
const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;

/// Explains every kernel address in `lines`: one line each, innermost inlined function first.
pub fn explain(twin: &Path, lines: &[String]) -> anyhow::Result<Vec<String>> {
    let loader = addr2line::Loader::new(twin)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| format!("cannot read the symbols in {}", twin.display()))?;
    let mut explained = Vec::new();
    for address in lines.iter().flat_map(|line| addresses(line)) {
        // A return address may be the first one behind the function that called; the call itself is before it.
        let call = address - 1;
        let mut is_known = false;
        let Ok(mut frames) = loader.find_frames(call) else { continue };
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.and_then(|name| name.demangle().ok().map(std::borrow::Cow::into_owned));
            let (file, line) = frame.location.map_or((None, None), |place| (place.file, place.line));
            is_known = true;
            explained.push(format!(
                "{address:#x} {} at {}:{}",
                name.as_deref().unwrap_or("?"),
                file.unwrap_or("?"),
                line.unwrap_or(0)
            ));
        }
        if let (false, Some(symbol)) = (is_known, loader.find_symbol(call)) {
            explained.push(format!("{address:#x} {}", addr2line::demangle_auto(symbol.into(), None)));
        }
    }
    Ok(explained)
}

/// The kernel addresses in a line of text: words of 16 hexadecimal digits, with or without `0x`.
fn addresses(line: &str) -> impl Iterator<Item = u64> + '_ {
    line.split(|character: char| !character.is_ascii_alphanumeric())
        .map(|word| word.strip_prefix("0x").unwrap_or(word))
        .filter(|word| word.len() == 16)
        .filter_map(|word| u64::from_str_radix(word, 16).ok())
        .filter(|&address| address >= KERNEL_BASE)
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn only_kernel_addresses_are_taken() {
        let line = "  3: 0xffffffff81001234 (from ffffffff80000000), rsp=0xffffc90000001000 rax=12";
        assert_eq!(addresses(line).collect::<Vec<_>>(), [0xffff_ffff_8100_1234, 0xffff_ffff_8000_0000]);
    }
}
