//! POST /api/keys/bulk: does something with many keys of a group, named by their ids or by a filter; or says what it would do.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api,
    delete_many::Deleted,
    list::parse_state,
    notes::{NOTES_CHARACTERS_MAX, check_notes},
    serving,
    validate::validate_those,
};
use crate::{
    api::{
        answer::{Answer, Either},
        body::{Body, Fields, FromFields, Misread},
        document::{
            Shape, Shown,
            shape::{flag, id, nested, one_of, or_null, some_ids, text, text_up_to},
        },
        refusal::Refusal,
        tasks,
    },
    crypto::Secret,
    group::{self, GroupId, Record},
    keypool::{Action, KeyStatus, Selection, StateFilter},
    task::{Kind, NewTask, Progress},
};

/// Ids that one call names; a filter may mean any number of keys.
const IDS_MAX: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Test,
    Restore,
    Enable,
    Disable,
    Delete,
    Move,
    SetNotes,
}

impl Verb {
    const ALL: [Self; 7] =
        [Self::Test, Self::Restore, Self::Enable, Self::Disable, Self::Delete, Self::Move, Self::SetNotes];

    const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Restore => "restore",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::SetNotes => "set_notes",
        }
    }
}

pub(in crate::api) struct Wanted {
    group_id: GroupId,
    verb: String,
    ids: Option<Vec<i64>>,
    filter: Option<Filter>,
    except_ids: Option<Vec<i64>>,
    target_group_id: GroupId,
    /// `None`: not given. A `null` clears.
    notes: Option<String>,
    is_dry_run: bool,
}

#[derive(Default)]
struct Filter {
    status: Option<String>,
    search: Option<String>,
}

impl FromFields for Wanted {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let notes = fields.text("notes")?.map(|notes| notes.trim().to_owned());
        Ok(Self {
            group_id: fields.needed_id("group_id")?,
            verb: fields.needed_text("action")?,
            ids: fields.ids("ids")?,
            filter: fields.nested("filter")?,
            except_ids: fields.ids("except_ids")?,
            target_group_id: fields.id("target_group_id")?,
            notes: fields.raw("notes").map(|_| notes.unwrap_or_default()),
            is_dry_run: fields.flag("dry_run")?.unwrap_or_default(),
        })
    }

    fn shape() -> Shape {
        let action = "What is done: `restore` puts invalid keys back into rotation, `disable` takes keys out by hand and \
                      `enable` brings those back, `move` needs `target_group_id`, `set_notes` needs `notes`";
        let filter = "Or all keys that match; {} means all of the group, which a test takes without the disabled ones";
        let notes = or_null(text_up_to(NOTES_CHARACTERS_MAX));
        Shape::default()
            .needed("group_id", id(), "Whose keys")
            .needed("action", one_of(&Verb::ALL.map(Verb::name)), action)
            .optional("ids", some_ids(IDS_MAX), "The keys, 100,000 at most")
            .optional("filter", nested::<Filter>(), filter)
            .optional("except_ids", some_ids(IDS_MAX), "Of those that match the filter, not these")
            .optional("target_group_id", id(), "Where keys are moved to, a standard group")
            .optional("notes", notes, "The remark for each key; an empty text or null clears it")
            .optional("dry_run", flag(), "Whether nothing is done, and only said what would be")
    }
}

impl FromFields for Filter {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, Misread> {
        let some = |name| Ok::<_, Misread>(fields.text(name)?.filter(|text| !text.is_empty()));
        Ok(Self { status: some("status")?, search: some("search")? })
    }

    fn shape() -> Shape {
        Shape::default().optional("status", one_of(&StateFilter::NAMES), "Only those; all unless given").optional(
            "search",
            text(),
            "Contained in a key or its notes",
        )
    }
}

/// The task that does it, or what would come of it.
type Outcome = Either<tasks::Shown<'static>, Outlook>;

#[derive(Serialize, ToSchema)]
#[schema(as = KeysOutlook)]
pub(in crate::api) struct Outlook {
    /// Keys that are meant.
    matching: u64,
    /// Of them by `state`, as keys are shown; every state is there.
    by_state: BTreeMap<&'static str, u64>,
    /// Of them those that would not be as before; of a test, those that would be tested.
    would_change: u64,
}

impl Shown for Outlook {}

/// What a task of the kind `KEY_UPDATE` did.
#[derive(Serialize)]
struct Updated {
    action: &'static str,
    changed_count: u64,
    /// Keys that were as they should be already, or are gone.
    ignored_count: u64,
    /// Of them keys that the other group has already.
    #[serde(skip_serializing_if = "Option::is_none")]
    already_in_target: Option<u64>,
}

pub(in crate::api) async fn bulk(api: Api, Body(wanted): Body<Wanted>) -> Result<Answer<Outcome>, Refusal> {
    check_notes(wanted.notes.as_deref().unwrap_or_default())?;
    let not_one_of = |values: String| ("validation.not_one_of", [("field", "action".to_owned()), ("values", values)]);
    let verb = Verb::ALL.into_iter().find(|verb| verb.name() == wanted.verb);
    let verb = verb.ok_or_else(|| Refusal::invalid(not_one_of(Verb::ALL.map(Verb::name).join(", "))))?;
    let selection = selection(&wanted)?;
    let group = group::queries::find(api.database.readers(), wanted.group_id).await?;
    let action = action(&api, verb, &wanted).await?;
    let mut ids = api.key_pools.select(group.id, &selection).await?;
    if verb == Verb::Test && matches!(&selection, Selection::Matching { state: None, .. }) {
        // What was taken out by hand is tested only where it is named.
        let state = Some(StateFilter::Stored(KeyStatus::Disabled));
        let disabled = Selection::Matching { state, part: None, except_ids: HashSet::new() };
        let disabled: HashSet<i64> = api.key_pools.select(group.id, &disabled).await?.into_iter().collect();
        ids.retain(|id| !disabled.contains(id));
    }
    if wanted.is_dry_run {
        let outlook = api.key_pools.outlook(group.id, &ids, action.as_ref()).await?;
        let by_state = outlook.by_state.into_iter().map(|(state, count)| (state.name(), count)).collect();
        let outlook = Outlook { matching: outlook.matching, by_state, would_change: outlook.would_change };
        return Answer::with(&Either::<tasks::Shown<'_>, _>::Other(outlook));
    }
    api.key_pools.check_writable()?;
    if ids.is_empty() {
        return Err(Refusal::invalid("validation.no_keys_chosen"));
    }
    let task = match action {
        None => validate_those(&api, serving(&api, &group)?, group.name, ids).await?,
        Some(action) => start(&api, group, verb, action, ids).await?,
    };
    Answer::with(&Either::<_, Outlook>::One(tasks::Shown::of(&task)))
}

async fn start(
    api: &Api,
    group: Record,
    verb: Verb,
    action: Action,
    ids: Vec<i64>,
) -> Result<crate::task::Task, Refusal> {
    let kind = if verb == Verb::Delete { Kind::Deletion } else { Kind::Update };
    let new = NewTask { kind, group_id: group.id, group_name: group.name, total: ids.len() as u64 };
    let pools = api.key_pools.clone();
    let job = move |progress: Progress| async move {
        let changes = pools.change(group.id, &ids, &action, |processed| progress.report(processed)).await?;
        let was_cut = changes.processed < ids.len();
        let ignored_count = (changes.processed as u64).saturating_sub(changes.changed);
        if verb == Verb::Delete {
            return crate::task::Outcome::new(&Deleted { deleted_count: changes.changed, ignored_count }, was_cut);
        }
        let already_in_target = (verb == Verb::Move).then_some(changes.already_there);
        let updated = Updated { action: verb.name(), changed_count: changes.changed, ignored_count, already_in_target };
        crate::task::Outcome::new(&updated, was_cut)
    };
    Ok(api.tasks.start(new, job).await?)
}

fn selection(wanted: &Wanted) -> Result<Selection, Refusal> {
    for (name, ids) in [("ids", &wanted.ids), ("except_ids", &wanted.except_ids)] {
        if ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
            let values = [("field", name.to_owned()), ("max", IDS_MAX.to_string())];
            return Err(Refusal::invalid(("validation.too_many_ids", values)));
        }
    }
    match (&wanted.ids, &wanted.filter) {
        (Some(ids), None) => Ok(Selection::Ids(ids.clone())),
        (None, Some(Filter { status, search })) => {
            let state = status.as_deref().filter(|status| *status != "all").map(parse_state).transpose()?;
            let part = search.as_deref().map(Secret::new);
            let except_ids = wanted.except_ids.iter().flatten().copied().collect();
            Ok(Selection::Matching { state, part, except_ids })
        }
        _ => Err(Refusal::invalid("validation.ids_or_filter")),
    }
}

/// `None`: the keys are tested.
async fn action(api: &Api, verb: Verb, wanted: &Wanted) -> Result<Option<Action>, Refusal> {
    Ok(Some(match verb {
        Verb::Test => return Ok(None),
        Verb::Restore => Action::Restore,
        Verb::Enable => Action::Enable,
        Verb::Disable => Action::Disable,
        Verb::Delete => Action::Delete,
        Verb::SetNotes => {
            let notes = wanted.notes.clone();
            Action::SetNotes(notes.ok_or_else(|| Refusal::invalid("validation.notes_required"))?)
        }
        Verb::Move if [0, wanted.group_id].contains(&wanted.target_group_id) => {
            return Err(Refusal::invalid("validation.target_group_required"));
        }
        Verb::Move => {
            let target = group::queries::find(api.database.readers(), wanted.target_group_id).await?;
            if target.is_aggregate() {
                return Err(Refusal::invalid("validation.keys_of_aggregate"));
            }
            Action::Move { to: target.id }
        }
    }))
}
