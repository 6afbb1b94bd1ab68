//! One request and its response: the checks and counts around the service.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::service::TowerToHyperService;

use super::body::{RequestBody, ResponseBody};
use super::limits::Limits;
use super::parked::Parked;
use super::pulse::{InFlight, Pulse};
use super::request_head;

/// Makes the service of one connection what hyper serves.
pub(super) fn guard<S, B>(
    service: S,
    limits: Limits,
    (pulse, parked): (Arc<Pulse>, Parked),
) -> impl Service<
    Request<Incoming>,
    Response = Response<ResponseBody<B>>,
    Error = Infallible,
    Future: Send + 'static,
> + Send
where
    S: tower_service::Service<
            Request<RequestBody>,
            Response = Response<B>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let service = TowerToHyperService::new(service);
    service_fn(move |request: Request<Incoming>| {
        let version = request.version();
        let is_head = request.method() == Method::HEAD;
        let in_flight = InFlight::start(Arc::clone(&pulse));
        // What is refused is dropped here, and not kept until its answer is sent.
        let admitted = admit(request, &limits, (&pulse, &parked));
        let answer = admitted.map(|request| service.call(request));
        async move {
            let mut response = match answer {
                Err(status) => request_head::refuse(status, version).map(|()| None),
                Ok(served) if is_head => head_of(served.await?),
                Ok(served) => served.await?.map(Some),
            };
            // The peer hears that the connection ends with this response, so it does not send a
            // request into a closing connection.
            if version < Version::HTTP_2 && in_flight.pulse().is_told_to_leave() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, in_flight)))
        }
    })
}

/// The request as a service may see it, or the status that refuses it.
fn admit(
    request: Request<Incoming>,
    limits: &Limits,
    (pulse, parked): (&Arc<Pulse>, &Parked),
) -> Result<Request<RequestBody>, StatusCode> {
    let refusal = request_head::refusal(&request, limits);
    let (head, incoming) = request.into_parts();
    let has_body = !incoming.is_end_stream();
    let admitted = match refusal {
        Some(status) => Err(status),
        None => RequestBody::admit(incoming, limits.request_body, (pulse, parked))
            .ok_or(StatusCode::SERVICE_UNAVAILABLE),
    };
    if admitted.is_err() && has_body {
        pulse.note_abandoned_body();
    }
    admitted.map(|body| Request::from_parts(head, body))
}

/// What answers `HEAD`: that of `GET` without its body, of which the length stays (RFC 9110 §9.3.2,
/// §8.6). Over HTTP/1.1 hyper leaves bodies out itself, over HTTP/2 it does not.
fn head_of<B: Body>(response: Response<B>) -> Response<Option<B>> {
    let (mut head, body) = response.into_parts();
    if let Some(length @ 1..) = body.size_hint().exact() {
        let length = HeaderValue::from(length);
        head.headers.entry(CONTENT_LENGTH).or_insert(length);
    }
    Response::from_parts(head, None)
}
