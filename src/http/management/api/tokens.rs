//! `POST /management/api/v1/tokens/revoke` and `…/tokens/revoke-all`

use bytes::Buf;
use futures_util::Stream;
use warp::http::Method;
use warp::reply::Response;

use super::super::Request;
use super::super::refusal::Refusal;
use super::{no_content, read};
use crate::actors::management::Management;
use crate::domain::client::ClientId;
use crate::domain::standing::SessionsOf;
use crate::domain::user::UserId;
use crate::http::wire::revoke::{RevokeAllRequest, RevokeRequest};

/// Answers what is asked below `tokens`.
pub(super) async fn answer<S, B>(
    management: &Management,
    request: &Request,
    rest: &[&str],
    body: S,
) -> Result<Response, Refusal>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    match (rest, &request.method) {
        (["revoke"], &Method::POST) => revoke(management, read(request, body).await?).await,
        (["revoke-all"], &Method::POST) => {
            let of = meant(read(request, body).await?)?;
            management.sign_out(of).await?;
            Ok(no_content())
        }
        (["revoke" | "revoke-all"], _) => Err(Refusal::method_not_allowed("POST")),
        _ => Err(Refusal::not_found()),
    }
}

/// 204 also for an unknown token, since what was asked for holds (RFC 7009 §2.2).
async fn revoke(management: &Management, request: RevokeRequest) -> Result<Response, Refusal> {
    management.revoke(&request.token).await?;
    Ok(no_content())
}

// Whoever names nobody by mistake must not sign out everyone.
fn meant(request: RevokeAllRequest) -> Result<SessionsOf, Refusal> {
    match (request.user_id, request.client_id, request.everyone) {
        (Some(id), None, None) => {
            let id = UserId::parse(&id).ok_or_else(Refusal::not_found)?;
            Ok(SessionsOf::User(id))
        }
        (None, Some(id), None) => Ok(SessionsOf::Client(ClientId::new(id))),
        (None, None, Some(true)) => Ok(SessionsOf::Everyone),
        _ => Err(Refusal::invalid(
            "The body names one of user_id, client_id, and everyone, which is true.",
        )),
    }
}
