//! Runs the language-neutral vectors of `tests/vectors/` at the root of the workspace.

use std::{fs, path::Path};

use codemode_host_protocol::{
    Capability, CapabilitySet, ClientToHost, DecodeError, Envelope, FrameDecoder, FrameError,
    HEADER_LEN, Hello, HostOffer, HostToClient, Negotiated, OrderCheck, ProtocolVersion,
    SupportedVersions, encode_frame, negotiate,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

#[test]
fn messages_that_a_host_takes() {
    check_valid::<ClientToHost>("client-to-host.json");
}

#[test]
fn messages_that_a_client_takes() {
    check_valid::<HostToClient>("host-to-client.json");
}

#[test]
fn messages_that_a_host_refuses() {
    check_invalid::<ClientToHost>("client-to-host.invalid.json");
}

#[test]
fn messages_that_a_client_refuses() {
    check_invalid::<HostToClient>("host-to-client.invalid.json");
}

#[test]
fn frames() {
    for vector in read::<Frames>("frames.json") {
        let stream = bytes(&vector.hex);
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            let (bodies, error) = frames_of(&[head, tail]);
            assert_eq!(bodies, vector.bodies, "{}, cut at {cut}", vector.name);
            assert_eq!(error, vector.error, "{}, cut at {cut}", vector.name);
        }
        let singly: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(frames_of(&singly), (vector.bodies, vector.error), "{}, singly", vector.name);
    }
}

#[test]
fn negotiations() {
    for vector in read::<Negotiation>("negotiation.json") {
        let hello = hello(&vector.hello);
        let versions = vector.host.versions.iter().map(|number| ProtocolVersion::new(*number));
        let offer = HostOffer {
            versions: SupportedVersions::new(versions.map(Option::unwrap)).unwrap(),
            capabilities: capabilities(&vector.host.capabilities),
        };
        let answer = match negotiate(&hello, &offer) {
            Ok(agreed) => {
                let confirmed =
                    Negotiated::from_ready(&hello, agreed.version, agreed.capabilities.clone());
                assert_eq!(confirmed.as_ref(), Ok(&agreed), "{}", vector.name);
                HostToClient::Ready {
                    selected_version: agreed.version,
                    capabilities: agreed.capabilities,
                }
            }
            Err(reason) => HostToClient::Rejected { reason },
        };
        assert_eq!(text(&answer), compact(&vector.answer), "{}", vector.name);
    }
}

#[test]
fn what_must_have_been_agreed_on() {
    for vector in read::<Use>("capabilities.json") {
        let negotiated = Negotiated {
            version: ProtocolVersion::V1,
            capabilities: capabilities(&vector.negotiated),
        };
        let large = vector.negotiated.iter().any(|name| name == "delegate-capacity-4096");
        assert_eq!(negotiated.delegate_capacity(), if large { 4096 } else { 1024 });
        let message = ClientToHost::decode(vector.message.get().as_bytes()).unwrap();
        let error = negotiated.permits(&message).err().map(|error| Missing {
            path: error.path.to_owned(),
            capability: error.capability.to_owned(),
        });
        assert_eq!(error, vector.error, "{}", vector.name);
    }
}

#[test]
fn conversations() {
    for vector in read::<Conversation>("conversations.json") {
        let mut check = OrderCheck::new();
        let mut error = None;
        for (at, said) in vector.messages.iter().enumerate() {
            let result = match said {
                Said::Client(message) => check.client_sends(&exactly(message)),
                Said::Host(message) => check.host_sends(&exactly(message)),
            };
            if let Err(refused) = result {
                error = Some(OutOfOrder { at, rule: refused.code().to_owned() });
                break;
            }
        }
        assert_eq!(error, vector.error, "{}", vector.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    #[serde(rename = "about")]
    _about: String,
    vectors: Vec<T>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    name: String,
    #[serde(rename = "meaning")]
    _meaning: String,
    message: Option<Box<RawValue>>,
    text: Option<String>,
    canonical: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    name: String,
    #[serde(rename = "reason")]
    _reason: String,
    message: Option<Box<RawValue>>,
    text: Option<String>,
    hex: Option<String>,
    error: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rule: String,
    path: String,
    id: Option<i64>,
    #[serde(rename = "type")]
    message_type: Option<String>,
}

impl From<DecodeError> for Expected {
    fn from(error: DecodeError) -> Expected {
        Expected {
            rule: error.rule.code().to_owned(),
            path: error.path,
            id: error.id,
            message_type: error.message_type.map(str::to_owned),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frames {
    name: String,
    #[serde(rename = "meaning")]
    _meaning: String,
    hex: String,
    bodies: Vec<String>,
    error: Option<Broken>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Broken {
    Oversized { length: usize },
    Truncated { part: String, have: usize, length: usize },
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Broken {
        match error {
            FrameError::Oversized { len } => Broken::Oversized { length: len },
            FrameError::Truncated { part, have, len } => {
                Broken::Truncated { part: part.to_owned(), have, length: len }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Negotiation {
    name: String,
    #[serde(rename = "meaning")]
    _meaning: String,
    hello: Box<RawValue>,
    host: Host,
    answer: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    versions: Vec<u32>,
    capabilities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Use {
    name: String,
    message: Box<RawValue>,
    negotiated: Vec<String>,
    error: Option<Missing>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Missing {
    path: String,
    capability: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    name: String,
    #[serde(rename = "meaning")]
    _meaning: String,
    messages: Vec<Said>,
    error: Option<OutOfOrder>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Said {
    Client(Box<RawValue>),
    Host(Box<RawValue>),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutOfOrder {
    at: usize,
    rule: String,
}

fn check_valid<E: Envelope>(file: &str) {
    for vector in read::<Valid>(file) {
        let name = vector.name;
        let body = vector.text.unwrap_or_else(|| compact(&vector.message.unwrap()));
        let message =
            E::decode(body.as_bytes()).unwrap_or_else(|error| panic!("{name}: refused: {error}"));
        let canonical = vector.canonical.unwrap_or(body);
        assert_eq!(text(&message), canonical, "{name}");
        assert!(canonical.contains(&format!("\"type\":\"{}\"", message.message_type())), "{name}");
        let again = E::decode(canonical.as_bytes()).unwrap();
        assert_eq!(text(&again), canonical, "{name}, once more");
    }
}

fn check_invalid<E: Envelope>(file: &str) {
    for vector in read::<Invalid>(file) {
        let name = vector.name;
        let body = match (vector.message, vector.text, vector.hex) {
            (Some(message), None, None) => compact(&message).into_bytes(),
            (None, Some(text), None) => text.into_bytes(),
            (None, None, Some(hex)) => bytes(&hex),
            _ => panic!("{name}: must have one of message, text and hex"),
        };
        let error = E::decode(&body).err().unwrap_or_else(|| panic!("{name}: taken"));
        assert_eq!(Expected::from(error), vector.error, "{name}");
    }
}

fn frames_of(chunks: &[&[u8]]) -> (Vec<String>, Option<Broken>) {
    let mut decoder = FrameDecoder::new();
    let mut bodies = Vec::new();
    for chunk in chunks {
        let mut input = *chunk;
        loop {
            match decoder.next_frame(&mut input) {
                Ok(Some(body)) => bodies.push(String::from_utf8(body.to_vec()).unwrap()),
                Ok(None) => break,
                Err(error) => return (bodies, Some(error.into())),
            }
        }
    }
    (bodies, decoder.finish().err().map(Broken::from))
}

fn hello(message: &RawValue) -> Hello {
    match ClientToHost::decode(message.get().as_bytes()).unwrap() {
        ClientToHost::Hello(hello) => hello,
        other => panic!("not a hello: {other:?}"),
    }
}

fn capabilities(names: &[String]) -> CapabilitySet {
    names.iter().map(|name| Capability::new(name.as_str()).unwrap()).collect()
}

fn text<E: Envelope>(message: &E) -> String {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame).unwrap();
    String::from_utf8(frame.split_off(HEADER_LEN)).unwrap()
}

/// The message, which must be written just so.
fn exactly<E: Envelope>(message: &RawValue) -> E {
    let body = compact(message);
    let decoded = E::decode(body.as_bytes()).unwrap();
    assert_eq!(text(&decoded), body);
    decoded
}

/// The text of a value without the white space between its tokens.
fn compact(value: &RawValue) -> String {
    let mut compact = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for char in value.get().chars() {
        if in_string || !char.is_ascii_whitespace() {
            compact.push(char);
        }
        in_string ^= char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
    }
    compact
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn read<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let file: File<T> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert!(!file.vectors.is_empty());
    file.vectors
}
