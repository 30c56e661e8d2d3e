//! DELETE /api/session: signs the console out. It needs no session, so that one that has ended can be left as well.

use super::{OverHttps, SetCookie, no_cookie};
use crate::api::answer::{Answer, Headed};

pub(in crate::api) async fn delete(over_https: OverHttps) -> Headed<SetCookie, ()> {
    Headed::new(no_cookie(over_https), Answer::saying("auth.signed_out"))
}
