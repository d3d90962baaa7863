//! The first line of a script: `#!interpreter [argument]` (execve(2), "Interpreter scripts").

/// What the first line says: the interpreter's path and, if there is one, the rest of the line as one argument. `None`: not a script, or one
/// whose interpreter's name is empty or cut off.
pub fn parse(head: &[u8], is_whole_file: bool) -> Option<(&[u8], Option<&[u8]>)> {
    let rest = head.strip_prefix(b"#!")?;
    let end = rest.iter().position(|&byte| byte == b'\n');
    let line = trim(&rest[..end.unwrap_or(rest.len())]);
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let name_end = line.iter().position(is_blank);
    if end.is_none() && !is_whole_file && name_end.is_none() {
        return None;
    }
    let name = &line[..name_end.unwrap_or(line.len())];
    let argument = trim(&line[name.len()..]);
    let is_valid = !name.is_empty() && !name.contains(&0);
    is_valid.then_some((name, (!argument.is_empty()).then_some(argument)))
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = line {
        line = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}
