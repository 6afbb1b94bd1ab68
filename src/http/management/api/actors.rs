//! `GET /management/api/v1/actors`: the supervision tree as it is now.

use warp::http::StatusCode;
use warp::reply::Response;

use super::json;
use crate::actors::management::Management;
use crate::http::wire::actor::ActorRecord;
use crate::http::wire::list::ListResponse;

pub(super) fn list(management: &Management) -> Response {
    let actors = management.actors().into_iter();
    let response = ListResponse {
        items: actors.map(ActorRecord::from).collect(),
        next: None,
    };
    json(StatusCode::OK, &response)
}
