//! What an examination found, one line each.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// Worth knowing.
    Note,
    /// A start would be refused, or something would not work.
    Problem,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    text: String,
}

#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Ok, about, text: text.into() });
    }

    pub(super) fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Note, about, text: text.into() });
    }

    pub(super) fn problem(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Problem, about, text: text.into() });
    }

    pub(super) fn problems(&self) -> usize {
        self.0.iter().filter(|finding| finding.level == Level::Problem).count()
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for Finding { level, about, text: found } in &self.0 {
            let level = match level {
                Level::Ok => "ok",
                Level::Note => "note",
                Level::Problem => "problem",
            };
            text.push_str(&format!("{level:<8} {about}: {found}\n"));
        }
        let notes = self.0.iter().filter(|finding| finding.level == Level::Note).count();
        text.push_str(&format!("{} problems, {notes} notes; nothing was changed\n", self.problems()));
        text
    }

    pub(super) fn to_json(&self) -> String {
        let document = serde_json::json!({ "problems": self.problems(), "findings": self.0 });
        format!("{document:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_lines_or_json() {
        let mut findings = Findings::default();
        findings.ok("port", "3001 is free");
        findings.note("keys", "2 in clear");
        assert_eq!(findings.problems(), 0);
        findings.problem("database", "away");
        assert_eq!(
            findings.to_text(),
            "ok       port: 3001 is free\nnote     keys: 2 in clear\nproblem  database: away\n\
             1 problems, 1 notes; nothing was changed\n"
        );
        let json: serde_json::Value = serde_json::from_str(&findings.to_json()).unwrap();
        assert_eq!(json["problems"], 1);
        assert_eq!(json["findings"][2], serde_json::json!({"level": "problem", "about": "database", "text": "away"}));
    }
}
