//! The unary call of the health service.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;

use super::connect::Channel;
use super::status::{Code, Status};

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Request {
    #[prost(string, tag = "1")]
    pub(super) service: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Response {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

/// `HealthCheckResponse.ServingStatus.SERVING`.
pub(super) const SERVING: i32 = 1;

/// Maximum size of a response in bytes; a health response has seven.
const MAX_RESPONSE_LEN: usize = 4096;

/// Length of the prefix of each message: compression flag and message length.
const PREFIX_LEN: usize = 5;

/// Returns the name of a serving status, or its number if it is unknown.
pub(super) fn serving_status_name(status: i32) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        SERVING => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => other.to_string(),
    }
}

/// Encodes a message with its prefix.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX_LEN + message.encoded_len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    message
        .encode(&mut framed)
        .expect("the buffer grows as needed");
    framed.freeze()
}

/// Calls `Check` and returns the serving status.
pub(super) async fn check(
    mut channel: Channel,
    authority: &str,
    service: &str,
    user_agent: &str,
) -> Result<i32, Status> {
    let head = http::Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", user_agent)
        .body(())
        .map_err(|error| Status::new(Code::Internal, error.to_string()))?;
    let (response, mut body) = channel
        .sender
        .send_request(head, false)
        .map_err(unavailable)?;
    let request = Request {
        service: service.to_owned(),
    };
    // A server may respond before it has read the request; otherwise the response contains the error.
    let _ = body.send_data(frame(&request), true);
    let (head, mut body) = response.await.map_err(unavailable)?.into_parts();
    if let Some(status) = Status::from_headers(&head.headers) {
        // A response of trailers only has no message.
        return Err(status);
    }
    if head.status != http::StatusCode::OK {
        return Err(Status::from_http(head.status));
    }
    let message = read_message(&mut body).await?;
    let trailers = body.trailers().await.map_err(unavailable)?;
    match trailers.as_ref().and_then(Status::from_headers) {
        Some(status) if status.code == Code::Ok => decode(&message),
        Some(status) => Err(status),
        None => Err(Status::new(
            Code::Internal,
            "server closed the stream without sending trailers",
        )),
    }
}

async fn read_message(body: &mut h2::RecvStream) -> Result<Vec<u8>, Status> {
    let mut message = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(unavailable)?;
        body.flow_control()
            .release_capacity(data.len())
            .map_err(unavailable)?;
        message.extend_from_slice(&data);
        if message.len() > MAX_RESPONSE_LEN {
            return Err(Status::new(
                Code::ResourceExhausted,
                format!(
                    "grpc: received message larger than max ({} vs. {MAX_RESPONSE_LEN})",
                    message.len()
                ),
            ));
        }
    }
    Ok(message)
}

fn decode(framed: &[u8]) -> Result<i32, Status> {
    let malformed = |cause: &str| Status::new(Code::Internal, format!("grpc: {cause}"));
    let (prefix, message) = framed
        .split_first_chunk::<PREFIX_LEN>()
        .ok_or_else(|| malformed("the response contains no message"))?;
    if prefix[0] != 0 {
        return Err(malformed(
            "the response is compressed, but the request did not accept compression",
        ));
    }
    let response = Response::decode(message).map_err(|error| {
        malformed(&format!(
            "failed to unmarshal the received message: {error}"
        ))
    })?;
    Ok(response.status)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err requires"
)]
fn unavailable(error: h2::Error) -> Status {
    Status::new(
        Code::Unavailable,
        format!("error reading from server: {error}"),
    )
}
