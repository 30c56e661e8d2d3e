//! Edits of JSON text: by example, and for any document and any rule.

use proptest::prelude::*;

use super::*;

fn check_edit(text: &str, changes: &[(&str, &str)], expected: &str) {
    let edited = edit(text.as_bytes(), changes).expect("one JSON object");
    assert_eq!(String::from_utf8(edited).unwrap(), expected);
}

#[test]
fn only_the_named_value_changes() {
    check_edit(
        "{ \"model\" :\t\"a\" , \"seed\":12345678901234567890,\n\"t\":1.0, \"big\":1e400,\"s\":\"\\u003c\\ud800é\" }\n",
        &[("model", "\"b\"")],
        "{ \"model\" :\t\"b\" , \"seed\":12345678901234567890,\n\"t\":1.0, \"big\":1e400,\"s\":\"\\u003c\\ud800é\" }\n",
    );
}

#[test]
fn names_are_compared_decoded_and_at_the_top_only() {
    check_edit(r#"{"mo\u0064el":1,"x":{"model":2}}"#, &[("model", "3")], r#"{"mo\u0064el":3,"x":{"model":2}}"#);
    check_edit(r#"{"Model":1}"#, &[("model", "3")], r#"{"Model":1,"model":3}"#);
    check_edit(r#"{"\ud800":1}"#, &[("a", "3")], r#"{"\ud800":1,"a":3}"#);
}

#[test]
fn of_a_repeated_member_the_last_is_read_and_only_that_one_stays() {
    check_edit(r#"{"a":1,"b":2,"a":[3]}"#, &[("a", "9")], r#"{"b":2,"a":9}"#);
    check_edit(r#"{ "a":1 , "a" : 2 }"#, &[("a", "9")], r#"{  "a" : 9 }"#);
    assert_eq!(
        top_level(br#"{"a":1,"b":2,"a":[3]}"#, &["b", "a", "c"]).unwrap(),
        [Some(&b"2"[..]), Some(b"[3]"), None]
    );
}

#[test]
fn missing_members_are_added_at_the_end() {
    check_edit("{}", &[("a", "1")], r#"{"a":1}"#);
    check_edit(" { \n} ", &[("a", "1"), ("b\"", "null")], " {\"a\":1,\"b\\\"\":null \n} ");
    check_edit("{\n  \"x\": 1\n}\n", &[("a", "1")], "{\n  \"x\": 1,\"a\":1\n}\n");
}

#[test]
fn of_two_changes_of_one_member_the_later_counts() {
    check_edit("{}", &[("a", "1"), ("a", "2")], r#"{"a":2}"#);
    check_edit(r#"{"a":0}"#, &[("a", "1"), ("a", "2")], r#"{"a":2}"#);
}

#[test]
fn what_is_not_one_object_is_left_alone() {
    for text in
        ["", "null", "[1]", "\"a\"", "{", "{}{}", "{\"a\":1,}", "\u{feff}{}", "{'a':1}", "{\"a\":01}", "{\"a\":\"\n\"}"]
    {
        assert_eq!(edit(text.as_bytes(), &[("a", "1")]), None, "{text:?}");
        assert_eq!(top_level(text.as_bytes(), &["a"]), None, "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_text_do_not_hide_the_members_beside_them() {
    let text = b"{\"user\":\"\xff\",\"model\":\"a\"}";
    assert_eq!(edit(text, &[("model", "\"b\"")]).unwrap(), b"{\"user\":\"\xff\",\"model\":\"b\"}");
}

#[test]
fn depth_has_no_limit() {
    const DEPTH: usize = 1_000_000;
    let deep = format!("{}{}", "[{\"a\":".repeat(DEPTH / 2), "}]".repeat(DEPTH / 2)).replace(":}", ":0}");
    let text = format!("{{\"x\":{deep},\"model\":\"a\",\"y\":{deep}}}");
    let expected = format!("{{\"x\":{deep},\"model\":\"b\",\"y\":1}}");
    assert!(edit(text.as_bytes(), &[("model", "\"b\""), ("y", "1")]).unwrap() == expected.as_bytes());
    assert!(top_level(text.as_bytes(), &["x"]).unwrap() == [Some(deep.as_bytes())]);
    assert_eq!(elements(deep.as_bytes()).unwrap().len(), 1);
    assert_eq!(edit("[".repeat(DEPTH).as_bytes(), &[]), None);
    assert_eq!(edit(format!("{{\"a\":{}", "[".repeat(DEPTH)).as_bytes(), &[]), None);
}

#[test]
fn members_are_removed_with_their_comma() {
    let check = |text: &str, expected: &str| {
        assert_eq!(String::from_utf8(remove(text.as_bytes(), "a").unwrap()).unwrap(), expected);
    };
    check(r#"{"a":1}"#, "{}");
    check(r#"{ "a" : 1 }"#, "{  }");
    check(r#"{"a":1 , "b":2}"#, r#"{ "b":2}"#);
    check(r#"{"b":2 , "\u0061" : {"a":[]}}"#, r#"{"b":2 }"#);
    check(r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2}"#);
    check(r#"{"\"a\"\\":1,"a":1}"#, r#"{"\"a\"\\":1}"#);
    check(r#"{"b":{"a":1}}"#, r#"{"b":{"a":1}}"#);
    check(r#"{"b":2, "a":1, "a":2 , "a":3 }"#, r#"{"b":2 }"#);
    check(r#"{"a":1, "b":2, "a":[] ,"c":4,"a":3}"#, r#"{ "b":2, "c":4}"#);
    check(r#"{ "a":1, "a":2 }"#, "{  }");
    assert_eq!(remove(b"[]", "a"), None);
}

/// A body of a megabyte is edited in one pass, and its repetitions neither cost more nor become more.
#[test]
fn repetitions_cost_no_more_than_their_length() {
    let count = 150_000;
    let text = format!("{{\"b\":0{}}}", ",\"a\":1".repeat(count));
    let begin = std::time::Instant::now();
    assert_eq!(remove(text.as_bytes(), "a").unwrap(), br#"{"b":0}"#);
    let long = quoted(&"x".repeat(10_000));
    let edited = edit(text.as_bytes(), &[("a", &long)]).unwrap();
    assert_eq!(edited, format!("{{\"b\":0,\"a\":{long}}}").into_bytes());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[test]
fn elements_are_listed_and_appended() {
    assert_eq!(elements(br#" [1.0 , {"a":[]},"x"] "#).unwrap(), [&b"1.0"[..], br#"{"a":[]}"#, b"\"x\""]);
    assert_eq!(elements(b"{}"), None);
    assert_eq!(append(b"[ ]", ["1", "2"].into_iter()), b"[1,2 ]");
    assert_eq!(append(b"[0\n]", ["1"].into_iter()), b"[0,1\n]");
    assert_eq!(append(b"[0]", std::iter::empty()), b"[0]");
}

#[test]
fn strings_are_read_and_written() {
    assert_eq!(string(br#""a\u00e9\"""#).as_deref(), Some("aé\""));
    assert_eq!(string(br#""\ud800""#), None);
    assert_eq!(string(b"1"), None);
    assert_eq!(quoted("a\"\u{1}é"), "\"a\\\"\\u0001é\"");
}

/// A member of a generated document: white space, name as written, white space, white space, value, white space.
#[derive(Debug, Clone)]
struct Member {
    name: &'static str,
    written: &'static str,
    value: String,
    spaces: [&'static str; 4],
}

impl Member {
    fn text(&self, value: &str) -> String {
        let [a, b, c, d] = self.spaces;
        format!("{a}{}{b}:{c}{value}{d}", self.written)
    }
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\n", "\t \r\n"])
}

fn value() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec!["0", "-0", "1.0", "1e400", "-12345678901234567890", "0.1E-7", "1e+2"]);
    let text = prop_oneof![
        any::<String>().prop_map(|text| quoted(&text)),
        prop::sample::select(vec![r#""\ud800""#, r#""\u003c\/""#, r#""\\\"{[,:""#, r#""""#]).prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        number.prop_map(str::to_owned),
        text,
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..5), space())
                .prop_map(|(elements, space)| format!("[{space}{}{space}]", elements.join(&format!("{space},")))),
            prop::collection::vec((prop::sample::select(vec!["\"a\"", "\"model\"", "\"\""]), inner), 0..5).prop_map(
                |members| {
                    let members: Vec<_> = members.iter().map(|(name, value)| format!("{name} : {value}")).collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    })
}

fn member() -> impl Strategy<Value = Member> {
    let names = vec![
        ("model", "\"model\""),
        ("model", r#""mod\u0065l""#),
        ("a", "\"a\""),
        ("a", r#""\u0061""#),
        ("", "\"\""),
        ("é\"\\", r#""é\"\\""#),
        ("models", "\"models\""),
    ];
    (prop::sample::select(names), value(), [space(), space(), space(), space()])
        .prop_map(|((name, written), value, spaces)| Member { name, written, value, spaces })
}

proptest! {
    #[test]
    fn any_document_keeps_all_but_the_edited_values(
        members in prop::collection::vec(member(), 0..8),
        ends in [space(), space()],
        changes in prop::collection::vec((prop::sample::select(vec!["model", "a", "", "new", "é\"\\"]), value()), 0..4),
    ) {
        let around = |members: &[String]| format!("{}{{{}}}{}", ends[0], members.join(","), ends[1]);
        let document = around(&members.iter().map(|member| member.text(&member.value)).collect::<Vec<_>>());
        let change_of = |name: &str| changes.iter().rev().find(|change| change.0 == name).map(|change| change.1.as_str());

        let written: Vec<(&str, &str)> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let edited = String::from_utf8(edit(document.as_bytes(), &written).unwrap()).unwrap();

        let mut kept = Vec::new();
        // White space before a member that goes stays before the next one.
        let mut spaces = String::new();
        for (index, member) in members.iter().enumerate() {
            if change_of(member.name).is_some() && members[index + 1..].iter().any(|later| later.name == member.name) {
                spaces += member.spaces[0];
            } else {
                let text = member.text(change_of(member.name).unwrap_or(&member.value));
                kept.push(std::mem::take(&mut spaces) + &text);
            }
        }
        let mut added = Vec::new();
        for (name, _) in &changes {
            let addition = format!("{}:{}", quoted(name), change_of(name).unwrap());
            if !members.iter().any(|member| member.name == *name) && !added.contains(&addition) {
                added.push(addition);
            }
        }
        // Of one name that is added twice only the later change is written, so the order is that of the last mentions.
        added.sort_by_key(|addition| {
            changes.iter().rposition(|change| addition.starts_with(&format!("{}:", quoted(change.0))))
        });
        if added.is_empty() {
            prop_assert_eq!(&edited, &around(&kept));
        } else {
            let kept = kept.join(",");
            let (kept, space_at_end) = kept.split_at(kept.trim_end_matches([' ', '\t', '\r', '\n']).len());
            let comma = if members.is_empty() { "" } else { "," };
            let expected = format!("{}{{{kept}{comma}{}{space_at_end}}}{}", ends[0], added.join(","), ends[1]);
            prop_assert_eq!(&edited, &expected);
        }

        for (name, _) in &changes {
            let read = top_level(edited.as_bytes(), &[name]).unwrap()[0].unwrap();
            prop_assert_eq!(std::str::from_utf8(read).unwrap(), change_of(name).unwrap());
        }
    }

    #[test]
    fn any_document_loses_only_the_removed_member(members in prop::collection::vec(member(), 0..8)) {
        let text = |members: &[&Member]| {
            format!("{{{}}}", members.iter().map(|member| member.text(&member.value)).collect::<Vec<_>>().join(","))
        };
        let shorter = remove(text(&members.iter().collect::<Vec<_>>()).as_bytes(), "a").unwrap();
        let kept: Vec<_> = members.iter().filter(|member| member.name != "a").collect();
        let without_space = |text: &str| text.replace([' ', '\t', '\r', '\n'], "");
        prop_assert_eq!(without_space(&String::from_utf8(shorter.clone()).unwrap()), without_space(&text(&kept)));
        prop_assert!(top_level(&shorter, &[]).is_some());
    }

    #[test]
    fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}:,\"\\\\a0 ]{0,24}") {
        for input in [&bytes[..], text.as_bytes()] {
            let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(input).is_ok();
            let edited = edit(input, &[("a", "1")]);
            prop_assert!(edited.is_some() || !is_object);
            remove(input, "a");
            elements(input);
        }
    }
}
