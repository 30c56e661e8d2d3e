//! The grammar of the `.env` file: the one that the original's deployments wrote their files for.
//!
//! A mistake is an error that names its line; nothing of a file with a mistake is used.

use std::collections::HashMap;

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assignments {
    /// In the order of the file. Of a name that occurs twice, the last one counts.
    pub(crate) values: HashMap<String, String>,
    /// What is legal but probably not meant.
    pub(crate) warnings: Vec<String>,
}

/// Reads a whole file. The error names a line and never repeats a value.
pub(crate) fn parse(text: &str) -> Result<Assignments, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut reader = Reader { rest: &text, line: 1, found: HashMap::new(), warnings: Vec::new() };
    while reader.skip_to_assignment() {
        let line = reader.line;
        reader.assignment().map_err(|problem| format!("line {line} {problem}"))?;
    }
    Ok(Assignments { values: reader.found, warnings: reader.warnings })
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    found: HashMap<String, String>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Past blanks, empty lines and comment lines; false at the end of the file.
    fn skip_to_assignment(&mut self) -> bool {
        loop {
            let trimmed = self.rest.trim_start();
            self.take(self.rest.len() - trimmed.len());
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn assignment(&mut self) -> Result<(), String> {
        let line = self.line;
        if let Some(after) = self.rest.strip_prefix("export").filter(|after| after.starts_with(is_blank)) {
            self.take(self.rest.len() - after.trim_start_matches(is_blank).len());
        }
        let name = self.name()?;
        let value = match self.rest.chars().next() {
            Some('\'') => self.single_quoted()?,
            Some('"') => {
                let raw = self.double_quoted()?;
                self.expand(&raw, Escapes::All, &name, line)
            }
            _ => {
                let raw = self.unquoted(&name, line);
                self.expand(&raw, Escapes::DollarOnly, &name, line)
            }
        };
        self.found.insert(name, value);
        Ok(())
    }

    /// A name and its separator, with the blanks around it.
    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !is_name(c)).unwrap_or(self.rest.len());
        let name = self.take(end).to_owned();
        let after = self.rest.trim_start_matches(is_blank);
        match after.chars().next() {
            Some('=' | ':') if !name.is_empty() => {
                self.take(self.rest.len() - after.len() + 1);
                self.take(self.rest.len() - self.rest.trim_start_matches(is_blank).len());
                Ok(name)
            }
            Some(_) if name.is_empty() => {
                Err("does not begin with a name; write NAME=value, or # for a comment".to_owned())
            }
            None | Some('\n') => Err(format!("has no value after {name}; write {name}=value")),
            Some(_) => Err(format!(
                "has a character after {name} that a name must not have; write NAME=value, with letters, digits, _ and . in the name"
            )),
        }
    }

    /// Up to the end of the line, or to the last `#` that follows a blank.
    fn unquoted(&mut self, name: &str, line: usize) -> String {
        let text = self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        let comment = text.char_indices().rev().find(|&(at, c)| c == '#' && text[..at].ends_with(is_blank));
        let value = text[..comment.map_or(text.len(), |(at, _)| at)].trim();
        if value.starts_with('#') {
            self.warnings.push(format!(
                "line {line} of .env gives {name} a value that begins with #; to leave it empty, write {name}= and put the comment on a line of its own"
            ));
        }
        value.to_owned()
    }

    /// Literal text. A quote after a backslash does not end it.
    fn single_quoted(&mut self) -> Result<String, String> {
        let inside = &self.rest[1..];
        let end = inside
            .match_indices('\'')
            .map(|(at, _)| at)
            .find(|&at| !inside[..at].ends_with('\\'))
            .ok_or("opens a quote ' that is never closed")?;
        let value = inside[..end].to_owned();
        self.take(end + 2);
        self.nothing_more_on_the_line()?;
        Ok(value)
    }

    /// The text between the quotes, escapes still in it.
    fn double_quoted(&mut self) -> Result<String, String> {
        let inside = &self.rest[1..];
        let mut escaped = false;
        let end = inside
            .char_indices()
            .find(|&(_, c)| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .map(|(at, _)| at)
            .ok_or("opens a quote \" that is never closed")?;
        let raw = inside[..end].to_owned();
        self.take(end + 2);
        self.nothing_more_on_the_line()?;
        Ok(raw)
    }

    fn nothing_more_on_the_line(&mut self) -> Result<(), String> {
        let tail = self.take(self.rest.find('\n').unwrap_or(self.rest.len())).trim_start();
        if tail.is_empty() || tail.starts_with('#') {
            Ok(())
        } else {
            Err("has text after the closing quote; put the whole value between the quotes".to_owned())
        }
    }

    /// Replaces escapes, and `$NAME` or `${NAME}` by what an earlier line of the file set.
    fn expand(&mut self, raw: &str, escapes: Escapes, name: &str, line: usize) -> String {
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(['\\', '$']) {
            value.push_str(&rest[..at]);
            let special = &rest[at..];
            if let Some(after) = special.strip_prefix('$') {
                rest = after;
                let Some((wanted, after)) = variable(after) else {
                    value.push('$');
                    continue;
                };
                rest = after;
                match self.found.get(wanted) {
                    Some(known) => value.push_str(known),
                    None => self.warnings.push(format!(
                        "line {line} of .env takes part of {name} for the variable {wanted}, which no line before it sets, and leaves it out; write \\$ for a dollar sign"
                    )),
                }
                continue;
            }
            let mut after = special.chars();
            after.next();
            match (after.next(), escapes) {
                (Some('$'), _) => value.push('$'),
                (Some('n'), Escapes::All) => value.push('\n'),
                (Some('r'), Escapes::All) => value.push('\r'),
                (Some(other), Escapes::All) => value.push(other),
                (_, Escapes::DollarOnly) | (None, Escapes::All) => {
                    value.push('\\');
                    rest = &special[1..];
                    continue;
                }
            }
            rest = after.as_str();
        }
        value.push_str(rest);
        value
    }

    /// Moves past so many bytes, counting lines.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

/// What a backslash does.
#[derive(Clone, Copy)]
enum Escapes {
    /// Between double quotes: `\n` and `\r` are control characters, any other character stands for itself.
    All,
    /// In unquoted values: only `\$` is special.
    DollarOnly,
}

/// A variable's name behind its dollar sign, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let is_variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let (name, after) = match text.strip_prefix('{') {
        Some(inside) => inside.split_once('}')?,
        None => text.split_at(text.find(|c| !is_variable(c)).unwrap_or(text.len())),
    };
    (!name.is_empty() && name.chars().all(is_variable)).then_some((name, after))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

/// A blank within a line.
fn is_blank(c: char) -> bool {
    c != '\n' && c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = parse(text).unwrap().values;
        let mut found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{text:?}");
    }

    fn refused(text: &str, expected: &str) {
        let problem = parse(text).unwrap_err();
        assert!(problem.contains(expected), "{text:?}: {problem}");
    }

    #[test]
    fn names_and_separators() {
        check("", &[]);
        check("\n  \n# comment\n\t# another\n", &[]);
        check("A=1", &[("A", "1")]);
        check("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]);
        check("\u{feff}A=1", &[("A", "1")]);
        check("export A=1\nexport\tB = 2", &[("A", "1"), ("B", "2")]);
        check("  A : 1", &[("A", "1")]);
        check("a.b_C9=x", &[("a.b_C9", "x")]);
        check("exported=1", &[("exported", "1")]);
        check("A=\nB=", &[("A", ""), ("B", "")]);
        check("A=1\nA=2", &[("A", "2")]);
    }

    #[test]
    fn unquoted_values() {
        check("A=  one two  ", &[("A", "one two")]);
        check("A=one # comment", &[("A", "one")]);
        check("A=one#two", &[("A", "one#two")]);
        check("A=one #two # three", &[("A", "one #two")]);
        check("A=x=y:z", &[("A", "x=y:z")]);
        check(r"A=a\nb\c", &[("A", r"a\nb\c")]);
        check("A=it's", &[("A", "it's")]);
        // The original takes this for a value, and stored keys may be encrypted with it.
        check("A= # comment", &[("A", "# comment")]);
    }

    #[test]
    fn quoted_values() {
        check(r"A='a $B \n # c'", &[("A", r"a $B \n # c")]);
        check(r#"A="a\nb\rc\td\"e\\""#, &[("A", "a\nb\rctd\"e\\")]);
        check("A='one\ntwo'\nB=3", &[("A", "one\ntwo"), ("B", "3")]);
        check("A=\"one\ntwo\" # comment\nB=3", &[("A", "one\ntwo"), ("B", "3")]);
        check(r"A='it\'s'", &[("A", r"it\'s")]);
        check("A=''\nB=\"\"", &[("A", ""), ("B", "")]);
    }

    #[test]
    fn variables_come_from_earlier_lines() {
        check(
            "HOST=db\nA=$HOST:1\nB=\"${HOST}x\"\nC='$HOST'",
            &[("A", "db:1"), ("B", "dbx"), ("C", "$HOST"), ("HOST", "db")],
        );
        check("A=ab$CD", &[("A", "ab")]);
        check("CD=1\nA=$CDx", &[("A", "1x"), ("CD", "1")]);
        check(r"A=a\$CD", &[("A", "a$CD")]);
        check(r#"A="a\$CD""#, &[("A", "a$CD")]);
        check("A=a$b$", &[("A", "a$b$")]);
        check("A=${lower}${OPEN", &[("A", "${lower}${OPEN")]);
        check("B=$A\nA=1", &[("A", "1"), ("B", "")]);
    }

    #[test]
    fn what_is_probably_not_meant_is_told_without_the_value() {
        for (text, expected) in [
            ("X=1\nAUTH_KEY=hidden$CD", "line 2 of .env takes part of AUTH_KEY for the variable CD"),
            ("A= # hidden", "line 1 of .env gives A a value that begins with #"),
        ] {
            let warnings = parse(text).unwrap().warnings;
            assert_eq!(warnings.len(), 1, "{text}");
            assert!(warnings[0].contains(expected), "{}", warnings[0]);
            assert!(!warnings[0].contains("hidden"), "{}", warnings[0]);
        }
        assert!(parse("A='$B'\nC=a#b").unwrap().warnings.is_empty());
    }

    #[test]
    fn a_mistake_names_its_line() {
        refused("A=1\n\nB", "line 3 has no value after B");
        refused("A-B=1", "line 1 has a character after A");
        refused("A B=1", "line 1 has a character after A");
        refused("=1", "line 1 does not begin with a name");
        refused("export", "line 1 has no value after export");
        refused("A=1\nB='open", "line 2 opens a quote '");
        refused("A=\"open\nB=2", "line 1 opens a quote \"");
        refused("A='x'y", "line 1 has text after the closing quote");
        refused("X='\n\n'\nB", "line 4 has no value");
    }
}
