//! `GET, POST /management/api/v1/users`, and `GET, PATCH, DELETE` of one of them.

use bytes::Buf;
use futures_util::Stream;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::super::Request;
use super::super::refusal::Refusal;
use super::{ListQuery, bad_cursor, check_change, json, no_content, path, read};
use crate::actors::management::Management;
use crate::actors::management::administration::UserPatch;
use crate::domain::user::{Password, UserId};
use crate::http::wire::list::ListResponse;
use crate::http::wire::user::{NewUserRequest, UserPatchRequest, UserRecord};

/// Answers what is asked of the users, or of the one that `rest` names.
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
        ([], &Method::GET) => list(management, &ListQuery::parse(&request.query)?).await,
        ([], &Method::POST) => add(management, read(request, body).await?).await,
        ([], _) => Err(Refusal::method_not_allowed("GET, HEAD, POST")),
        ([id], &Method::GET) => {
            let user = management.user(path::record_id(id)?).await?;
            Ok(json(StatusCode::OK, &UserRecord::from(&user)))
        }
        ([id], &Method::PATCH) => {
            let id = path::record_id(id)?;
            change(management, id, read(request, body).await?).await
        }
        ([id], &Method::DELETE) => {
            check_change(request)?;
            management.delete_user(path::record_id(id)?).await?;
            Ok(no_content())
        }
        ([_], _) => Err(Refusal::method_not_allowed("GET, HEAD, PATCH, DELETE")),
        _ => Err(Refusal::not_found()),
    }
}

async fn change(
    management: &Management,
    id: UserId,
    request: UserPatchRequest,
) -> Result<Response, Refusal> {
    let patch = UserPatch {
        is_disabled: request.disabled,
        password: request.password.map(Password::new),
    };
    let user = management.change_user(id, patch).await?;
    Ok(json(StatusCode::OK, &UserRecord::from(&user)))
}

async fn list(management: &Management, query: &ListQuery) -> Result<Response, Refusal> {
    if let Some(username) = &query.username {
        let user = management.find_user(username.clone()).await?;
        let response = ListResponse {
            next: None,
            items: user.iter().map(UserRecord::from).collect(),
        };
        return Ok(json(StatusCode::OK, &response));
    }
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

async fn add(management: &Management, request: NewUserRequest) -> Result<Response, Refusal> {
    let password = Password::new(request.password);
    let user = management.add_user(request.username, password).await?;
    Ok(json(StatusCode::CREATED, &UserRecord::from(&user)))
}
