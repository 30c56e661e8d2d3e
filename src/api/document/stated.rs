//! What an operation asks for and answers, read off the types of its handler: so a document that says something else
//! than the code does cannot be written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::shape::Shape;
use crate::api::{
    Api, ClientAddress,
    answer::{Answer, Bare, Content, Contents, Either, Headed, OwnHeader, Sent, SentAs},
    authentication::MayScrape,
    body::{Body, FromFields},
    keys::{ImportTexts, KeysToDelete, KeysToImport, KeysToPreview, ManyKeyTexts, PreviewTexts},
    language::Language,
    logs::LastEventId,
    page::{Page, Paged},
    path::{GroupInPath, GroupNameInPath, KeyInPath, LogEntryInPath, SubGroupInPath, TaskInPath},
    query::{Parameters, Query},
    refusal::{Reason, Refusal},
    session::{CurrentSession, OverHttps},
    settings::IfMatch,
};

/// What the types of a handler say.
#[derive(Default)]
pub(in crate::api) struct Stated {
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    /// By status. Refusals are not among them.
    pub(super) answers: BTreeMap<u16, Value>,
    pub(super) refusals: BTreeSet<Reason>,
    /// The names of the credentials that open it, where it looks at them itself.
    pub(super) credentials: Vec<&'static str>,
    /// Schemas that others refer to by name; the same one may be there more than once.
    pub(in crate::api) schemas: Vec<(String, Value)>,
}

impl Stated {
    fn path_parameter(&mut self, name: &str, schema: Value, description: &str) {
        self.parameters
            .push(json!({"name": name, "in": "path", "description": description, "required": true, "schema": schema}));
    }

    fn may_refuse(&mut self, reasons: &[Reason]) {
        self.refusals.extend(reasons);
    }

    /// Or a form with these fields and a file of keys.
    fn may_be_a_form(&mut self, fields: Shape) {
        let file =
            json!({"type": "string", "format": "binary", "description": "A text file, named `….txt`, with the keys"});
        if let Some(body) = &mut self.body {
            body["content"]["multipart/form-data"] = json!({"schema": fields.needed("file", file, "").into_schema()});
        }
        self.may_refuse(&[Reason::INVALID]);
    }

    /// A reference to a schema with a name, which is taken along.
    fn named<T: ToSchema>(&mut self) -> Value {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        self.schemas.extend(found.into_iter().map(|(name, schema)| (name, as_json(&schema))));
        json!({"$ref": format!("#/components/schemas/{}", T::name())})
    }
}

fn as_json(schema: &RefOr<Schema>) -> Value {
    // A schema consists of texts, numbers and lists of them, which can all be written.
    serde_json::to_value(schema).unwrap_or_default()
}

/// A handler whose types say what it asks for and answers.
pub(in crate::api) trait Described<T> {
    fn state(stated: &mut Stated);
}

/// What an argument of a handler needs from the request.
pub(in crate::api) trait Asks {
    fn state(stated: &mut Stated);
}

/// What a handler returns.
pub(in crate::api) trait Answers {
    fn state(stated: &mut Stated);
}

/// What an envelope may hold.
pub(in crate::api) trait Data {
    fn schema(stated: &mut Stated) -> Value;
}

macro_rules! described {
    ($kind:tt $($argument:ident)*) => {
        impl<F, Done, Returned, $kind, $($argument),*> Described<($kind, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Done,
            Done: Future<Output = Returned>,
            Returned: Answers,
            $($argument: Asks,)*
        {
            fn state(stated: &mut Stated) {
                $($argument::state(stated);)*
                Returned::state(stated);
            }
        }
    };
}

described!(Kind One);
described!(Kind One Two);
described!(Kind One Two Three);
described!(Kind One Two Three Four);
described!(Kind One Two Three Four Five);

impl<F, Done, Returned> Described<((),)> for F
where
    F: Fn() -> Done,
    Done: Future<Output = Returned>,
    Returned: Answers,
{
    fn state(stated: &mut Stated) {
        Returned::state(stated);
    }
}

/// What a request brings along without being asked.
impl Asks for ClientAddress {
    fn state(_: &mut Stated) {}
}

impl Asks for OverHttps {
    fn state(_: &mut Stated) {}
}

impl Asks for IfMatch {
    fn state(stated: &mut Stated) {
        stated.parameters.push(json!({
            "name": "If-Match",
            "in": "header",
            "description": "The `ETag` that the caller saw; if it is another one by now, nothing is changed",
            "required": false,
            "schema": {"type": "string", "examples": ["\"6b86b273ff34fce19d6b804eff5a3f57\""]},
        }));
        stated.may_refuse(&[Reason::CHANGED_MEANWHILE]);
    }
}

impl Asks for CurrentSession {
    fn state(_: &mut Stated) {}
}

impl Asks for MayScrape {
    fn state(stated: &mut Stated) {
        stated.credentials = std::iter::once("metricsToken").chain(super::MANAGED).collect();
        stated.may_refuse(&[Reason::UNAUTHORIZED, Reason::TOO_MANY_FAILED_LOGINS]);
    }
}

impl Asks for Api {
    fn state(_: &mut Stated) {}
}

/// Every answer is in the caller's language, whether its handler looks at it or not.
impl Asks for Language {
    fn state(_: &mut Stated) {}
}

impl Asks for GroupInPath {
    fn state(stated: &mut Stated) {
        stated.path_parameter("id", integer_in_path(), "The group's id");
        stated.may_refuse(&[Reason::BAD_REQUEST, Reason::NOT_FOUND]);
    }
}

impl Asks for SubGroupInPath {
    fn state(stated: &mut Stated) {
        stated.path_parameter("sub_group_id", integer_in_path(), "The id of the member, a standard group");
        stated.may_refuse(&[Reason::BAD_REQUEST, Reason::NOT_FOUND]);
    }
}

impl Asks for KeyInPath {
    fn state(stated: &mut Stated) {
        stated.path_parameter("id", super::shape::id(), "The key's id");
        stated.may_refuse(&[Reason::BAD_REQUEST, Reason::NOT_FOUND]);
    }
}

impl Asks for TaskInPath {
    fn state(stated: &mut Stated) {
        stated.path_parameter("id", super::shape::id(), "The task's id");
        stated.may_refuse(&[Reason::BAD_REQUEST, Reason::NOT_FOUND]);
    }
}

impl Asks for LogEntryInPath {
    fn state(stated: &mut Stated) {
        stated.path_parameter("id", super::shape::uuid(), "The entry's id");
        stated.may_refuse(&[Reason::BAD_REQUEST, Reason::NOT_FOUND]);
    }
}

impl Asks for GroupNameInPath {
    fn state(stated: &mut Stated) {
        stated.path_parameter("group", super::shape::some_text(), "The group's name");
        stated.may_refuse(&[Reason::NOT_FOUND]);
    }
}

/// Any integer is an id, though no row has one that is not above 0.
fn integer_in_path() -> Value {
    super::shape::integer(i64::MIN, i64::MAX)
}

impl<P: Parameters> Asks for Query<P> {
    fn state(stated: &mut Stated) {
        stated.parameters.extend(P::shape().into_parameters());
        stated.may_refuse(&[Reason::BAD_REQUEST]);
    }
}

impl Asks for LastEventId {
    fn state(stated: &mut Stated) {
        stated.parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event that came before the stream was interrupted: what passed since is sent first",
            "required": false,
            "schema": super::shape::text(),
        }));
    }
}

impl Asks for Page {
    fn state(stated: &mut Stated) {
        stated.parameters.extend(Self::shape().into_parameters());
    }
}

/// As JSON, or as a form with a file.
impl Asks for KeysToImport {
    fn state(stated: &mut Stated) {
        Body::<ImportTexts>::state(stated);
        let form = Shape::default().needed("group_id", super::shape::id(), "The group");
        stated.may_be_a_form(form.maybe("validate", super::shape::flag()));
    }
}

/// The same, and the group may be left out.
impl Asks for KeysToPreview {
    fn state(stated: &mut Stated) {
        Body::<PreviewTexts>::state(stated);
        stated.may_be_a_form(Shape::default().maybe("group_id", super::shape::id()));
    }
}

impl Asks for KeysToDelete {
    fn state(stated: &mut Stated) {
        Body::<ManyKeyTexts>::state(stated);
    }
}

impl<T: FromFields> Asks for Body<T> {
    fn state(stated: &mut Stated) {
        stated.body = Some(json!({
            "required": true,
            "content": {"application/json": {"schema": T::shape().into_schema()}},
        }));
        stated.may_refuse(&[Reason::INVALID_JSON, Reason::BAD_REQUEST, Reason::TOO_SLOW, Reason::TOO_LARGE]);
    }
}

/// A handler that looks at a refusal itself answers in its own way.
impl<T: Asks> Asks for Result<T, Refusal> {
    fn state(stated: &mut Stated) {
        let before = stated.refusals.clone();
        T::state(stated);
        stated.refusals = before;
    }
}

impl<T: Answers> Answers for Result<T, Refusal> {
    fn state(stated: &mut Stated) {
        T::state(stated);
    }
}

impl<T: Data> Answers for Answer<T> {
    fn state(stated: &mut Stated) {
        let data = T::schema(stated);
        let mut envelope = json!({
            "type": "object",
            "properties": {
                "code": {"type": "integer", "const": 0},
                "message": {"type": "string", "description": "For people, in the caller's language"},
            },
            "required": ["code", "message"],
        });
        if data.is_null() {
            // Nothing is left out that could be there.
            envelope["additionalProperties"] = false.into();
        } else {
            envelope["properties"]["data"] = data;
            envelope["required"] = json!(["code", "message", "data"]);
        }
        stated.answers.insert(
            200,
            json!({
                "description": "Done",
                "content": {"application/json": {"schema": envelope}},
            }),
        );
    }
}

impl<H: OwnHeader, T: Data> Answers for Headed<H, T> {
    fn state(stated: &mut Stated) {
        Answer::<T>::state(stated);
        for answer in stated.answers.values_mut() {
            answer["headers"][header_name::<H>()] =
                json!({"description": H::DESCRIPTION, "schema": {"type": "string"}});
        }
    }
}

/// As people write it.
fn header_name<H: OwnHeader>() -> String {
    let capital = |part: &str| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect();
    H::NAME.as_str().split('-').map(capital).collect::<Vec<String>>().join("-")
}

/// Nothing but a message.
impl Data for () {
    fn schema(_: &mut Stated) -> Value {
        Value::Null
    }
}

impl<T: Data> Data for Vec<T> {
    fn schema(stated: &mut Stated) -> Value {
        json!({"type": "array", "items": T::schema(stated)})
    }
}

impl<A: Data, B: Data> Data for Either<A, B> {
    fn schema(stated: &mut Stated) -> Value {
        json!({"oneOf": [A::schema(stated), B::schema(stated)]})
    }
}

impl<const N: usize> Data for [&'static str; N] {
    fn schema(_: &mut Stated) -> Value {
        json!({"type": "array", "items": {"type": "string"}})
    }
}

impl<T: Data> Data for Paged<T> {
    fn schema(stated: &mut Stated) -> Value {
        let items = T::schema(stated);
        let pagination = stated.named::<crate::api::page::Pagination>();
        json!({
            "type": "object",
            "properties": {"items": {"type": "array", "items": items}, "pagination": pagination},
            "required": ["items", "pagination"],
        })
    }
}

/// An object that is shown, under a name of its own in the document.
pub(in crate::api) trait Shown: ToSchema {}

impl<T: Shown> Data for T {
    fn schema(stated: &mut Stated) -> Value {
        stated.named::<T>()
    }
}

impl<K: Content> Answers for Sent<K> {
    fn state(stated: &mut Stated) {
        let schema = if K::TYPE.starts_with("application/json") { "object" } else { "string" };
        let content = json!({K::TYPE: {"schema": {"type": schema}}});
        stated.answers.insert(200, json!({"description": K::DESCRIPTION, "content": content}));
    }
}

impl<K: Contents> Answers for SentAs<K> {
    fn state(stated: &mut Stated) {
        let content: serde_json::Map<String, Value> =
            K::TYPES.iter().map(|kind| ((*kind).to_owned(), json!({"schema": {"type": "string"}}))).collect();
        stated.answers.insert(200, json!({"description": K::DESCRIPTION, "content": content}));
    }
}

/// What is answered outside the envelope, with which statuses.
pub(in crate::api) trait Outside: ToSchema {
    const STATUSES: &'static [(u16, &'static str)];
}

impl<T: Outside> Answers for Bare<T> {
    fn state(stated: &mut Stated) {
        for &(status, description) in T::STATUSES {
            let schema = stated.named::<T>();
            let answer = json!({"description": description, "content": {"application/json": {"schema": schema}}});
            stated.answers.insert(status, answer);
        }
    }
}
