//! `GET, POST /management/api/v1/users`

use warp::http::StatusCode;
use warp::reply::Response;

use super::super::refusal::Refusal;
use super::{ListQuery, bad_cursor, json};
use crate::actors::management::Management;
use crate::domain::user::{Password, UserId};
use crate::http::wire::list::ListResponse;
use crate::http::wire::user::{NewUserRequest, UserRecord};

pub(super) async fn list(management: &Management, query: &ListQuery) -> Result<Response, Refusal> {
    let after = query.after.as_deref();
    let after = after
        .map(|id| UserId::parse(id).ok_or_else(bad_cursor))
        .transpose()?;
    let page = management.list_users(after, query.limit).await?;
    let last = page.items.last().filter(|_| page.has_more);
    let response = ListResponse {
        next: last.map(|user| user.id.to_string()),
        items: page.items.iter().map(UserRecord::from).collect(),
    };
    Ok(json(StatusCode::OK, &response))
}

pub(super) async fn add(
    management: &Management,
    request: NewUserRequest,
) -> Result<Response, Refusal> {
    let password = Password::new(request.password);
    let user = management.add_user(request.username, password).await?;
    Ok(json(StatusCode::CREATED, &UserRecord::from(&user)))
}
