//! Between HTTP messages and the header blocks of the protocol.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
};
use nowire_protocol::head::{
    self, Block, Field, Fields, HeadError, TABLE, TAG_AUTHORITY, TAG_CONTENT_TYPE_GRPC,
    TAG_HTTP_STATUS, TAG_PATH, TAG_STATUS_OK, TAG_TE_TRAILERS, TAG_USER_AGENT,
};

/// Writes the header block of a request. `authority` is what the handshake
/// said, which need not be repeated.
pub(crate) fn write_request(
    block: &mut Block,
    parts: &http::request::Parts,
    authority: &str,
) -> Result<(), HeadError> {
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    head::write_tagged(block, TAG_PATH, path.as_bytes())?;
    if let Some(own) = parts
        .uri
        .authority()
        .filter(|own| own.as_str() != authority)
    {
        head::write_tagged(block, TAG_AUTHORITY, own.as_str().as_bytes())?;
    }
    write_headers(block, &parts.headers)
}

/// Writes the header block of a response.
pub(crate) fn write_response(
    block: &mut Block,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), HeadError> {
    if status != StatusCode::OK {
        head::write_tagged(block, TAG_HTTP_STATUS, status.as_str().as_bytes())?;
    }
    write_headers(block, headers)
}

/// Writes headers or trailers.
pub(crate) fn write_headers(block: &mut Block, headers: &HeaderMap) -> Result<(), HeadError> {
    for (name, value) in headers {
        let value = value.as_bytes();
        // The three fields nearly every block has.
        match name.as_str() {
            "content-type" if value == b"application/grpc" => block.push(TAG_CONTENT_TYPE_GRPC),
            "te" if value == b"trailers" => block.push(TAG_TE_TRAILERS),
            "grpc-status" if value == b"0" => block.push(TAG_STATUS_OK),
            name => head::write_field(block, name, value)?,
        }
    }
    Ok(())
}

/// Reads the header blocks of the requests of one connection.
#[derive(Debug)]
pub(crate) struct RequestReader {
    authority: Option<Authority>,
    user_agent: Option<HeaderValue>,
    /// The last path and what became of it: most clients repeat themselves.
    last: Option<(Box<[u8]>, Uri)>,
}

impl RequestReader {
    /// `authority` and `user_agent` are what the handshake said.
    pub(crate) fn new(authority: &str, user_agent: &str) -> Self {
        Self {
            authority: Authority::try_from(authority).ok(),
            user_agent: HeaderValue::from_str(user_agent)
                .ok()
                .filter(|value| !value.is_empty()),
            last: None,
        }
    }

    /// Reads one block.
    pub(crate) fn read(&mut self, block: &[u8]) -> Result<Request<()>, HeadError> {
        let mut fields = Fields::new(block);
        let Some(Field::Entry(TAG_PATH, path)) = fields.next().transpose()? else {
            return Err(HeadError::Pseudo(
                "a request that does not begin with its path",
            ));
        };
        let mut authority = None;
        let mut headers = HeaderMap::with_capacity(6);
        if let Some(user_agent) = &self.user_agent {
            headers.insert(header::USER_AGENT, user_agent.clone());
        }
        for field in fields {
            match field? {
                Field::Entry(TAG_AUTHORITY, value) => {
                    let value = Authority::try_from(value);
                    authority = Some(value.map_err(|_| HeadError::Invalid("the authority"))?);
                }
                Field::Entry(TAG_USER_AGENT, value) => {
                    headers.insert(header::USER_AGENT, self.user_agent(value)?);
                }
                field => push_header(&mut headers, field)?,
            }
        }
        let uri = match (authority, &self.last) {
            (None, Some((last, uri))) if **last == *path => uri.clone(),
            (None, _) => {
                let uri = uri(path, self.authority.clone())?;
                self.last = Some((path.into(), uri.clone()));
                uri
            }
            (authority, _) => uri(path, authority)?,
        };
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl RequestReader {
    /// A call's own user agent, before that of the connection, as tonic has it.
    fn user_agent(&self, own: &[u8]) -> Result<HeaderValue, HeadError> {
        match &self.user_agent {
            Some(usual) => header_value(&[own, b" ", usual.as_bytes()].concat()),
            None => header_value(own),
        }
    }
}

fn uri(path: &[u8], authority: Option<Authority>) -> Result<Uri, HeadError> {
    let path = PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(path))
        .map_err(|_| HeadError::Invalid("the path"))?;
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path);
    if authority.is_some() {
        parts.scheme = Some(Scheme::HTTP);
    }
    parts.authority = authority;
    Uri::from_parts(parts).map_err(|_| HeadError::Invalid("the path"))
}

/// Reads the header block of a response.
pub(crate) fn read_response(block: &[u8]) -> Result<Response<()>, HeadError> {
    let mut response = Response::new(());
    *response.version_mut() = Version::HTTP_2;
    for field in Fields::new(block) {
        match field? {
            Field::Entry(TAG_HTTP_STATUS, value) => {
                *response.status_mut() =
                    StatusCode::from_bytes(value).map_err(|_| HeadError::Invalid("the status"))?;
            }
            field => push_header(response.headers_mut(), field)?,
        }
    }
    Ok(response)
}

/// Reads a trailer block.
pub(crate) fn read_trailers(block: &[u8]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(2);
    for field in Fields::new(block) {
        push_header(&mut headers, field?)?;
    }
    Ok(headers)
}

fn push_header(headers: &mut HeaderMap, field: Field<'_>) -> Result<(), HeadError> {
    let (name, value) = match field {
        Field::Entry(TAG_CONTENT_TYPE_GRPC, _) => (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        ),
        Field::Entry(TAG_TE_TRAILERS, _) => (header::TE, HeaderValue::from_static("trailers")),
        Field::Entry(TAG_STATUS_OK, _) => (
            HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        ),
        Field::Entry(tag, value) => {
            let (name, _) = TABLE
                .get(usize::from(tag).wrapping_sub(1))
                .ok_or(HeadError::Tag(tag))?;
            if name.starts_with(':') {
                return Err(HeadError::Pseudo("a pseudo-header out of place"));
            }
            (HeaderName::from_static(name), header_value(value)?)
        }
        Field::Literal(name, value) => {
            let name =
                HeaderName::from_lowercase(name).map_err(|_| HeadError::Invalid("a name"))?;
            (name, header_value(value)?)
        }
    };
    if name.as_str() == "grpc-status-details-bin"
        && STATUS_DETAILS.decode(value.as_bytes()).is_err()
    {
        // tonic takes it for granted that this can be decoded, and panics.
        return Err(HeadError::Invalid(
            "grpc-status-details-bin that is not base64",
        ));
    }
    headers.append(name, value);
    Ok(())
}

fn header_value(value: &[u8]) -> Result<HeaderValue, HeadError> {
    HeaderValue::from_bytes(value).map_err(|_| HeadError::Invalid("a value"))
}

/// Base64 as gRPC has it in binary metadata: padding is optional.
const STATUS_DETAILS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> RequestReader {
        RequestReader::new("host:50051", "client/1.0")
    }

    #[test]
    fn a_request_comes_back_as_it_went() {
        let request = Request::builder()
            .uri("http://other:1/pkg.Service/Method")
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "5S")
            .header("x-twice", "one")
            .header("x-twice", "two")
            .header("data-bin", "AAEC")
            .body(())
            .expect("valid");
        let (parts, ()) = request.into_parts();
        let mut block = Block::new();
        write_request(&mut block, &parts, "host:50051").expect("writable");
        let read = reader().read(&block).expect("readable");
        assert_eq!(read.uri(), &parts.uri);
        let mut expected = parts.headers.clone();
        expected.insert("user-agent", HeaderValue::from_static("client/1.0"));
        assert_eq!(read.headers(), &expected);
    }

    #[test]
    fn a_calls_own_user_agent_comes_before_that_of_the_connection() {
        let (parts, ()) = Request::builder()
            .uri("/s/m")
            .header("user-agent", "mine")
            .body(())
            .expect("valid")
            .into_parts();
        let mut block = Block::new();
        write_request(&mut block, &parts, "").expect("writable");
        let read = reader().read(&block).expect("readable");
        assert_eq!(read.headers()["user-agent"], "mine client/1.0");
        assert_eq!(read.headers().get_all("user-agent").iter().count(), 1);
    }

    #[test]
    fn the_authority_of_the_handshake_is_not_repeated() {
        let (parts, ()) = Request::builder()
            .uri("http://host:50051/s/m")
            .body(())
            .expect("valid")
            .into_parts();
        let mut block = Block::new();
        write_request(&mut block, &parts, "host:50051").expect("writable");
        assert_eq!(block.len(), 3 + 4);
        assert_eq!(reader().read(&block).expect("readable").uri(), &parts.uri);
    }

    #[test]
    fn an_ok_trailer_block_is_one_byte() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let mut block = Block::new();
        write_headers(&mut block, &trailers).expect("writable");
        assert_eq!(block[..], [TAG_STATUS_OK]);
        assert_eq!(read_trailers(&block), Ok(trailers));
    }

    #[test]
    fn details_that_would_make_tonic_panic_are_refused() {
        let mut block = Block::new();
        head::write_field(&mut block, "grpc-status-details-bin", b"!").expect("writable");
        assert!(read_trailers(&block).is_err());
    }

    #[test]
    fn pseudo_headers_out_of_place_are_refused() {
        let mut block = Block::new();
        head::write_tagged(&mut block, TAG_PATH, b"/s/m").expect("writable");
        assert!(read_trailers(&block).is_err());
        assert!(reader().read(b"").is_err());
    }
}
