//! `POST /management/api/v1/tokens/revoke`

use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use super::super::refusal::Refusal;
use crate::actors::management::Management;
use crate::http::error::no_store;
use crate::http::wire::revoke::RevokeRequest;

/// 204 also for an unknown token, since what was asked for holds (RFC 7009 §2.2).
pub(super) async fn revoke(
    management: &Management,
    request: RevokeRequest,
) -> Result<Response, Refusal> {
    management.revoke(&request.token).await?;
    Ok(no_store(StatusCode::NO_CONTENT.into_response()))
}
