//! GET /api/session: until when the console is signed in.

use super::{CurrentSession, Told};
use crate::api::{answer::Answer, refusal::Refusal};

pub(in crate::api) async fn read(CurrentSession(session): CurrentSession) -> Result<Answer<Told>, Refusal> {
    Answer::with(&Told::from(session))
}
