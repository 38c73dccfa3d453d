//! What holds for every message, and for every stream of bytes.

use codemode_host_protocol::{
    Answer, Budget, Budgets, Capability, CapabilitySet, CellExecutionLimits, CellId, ClientToHost,
    ContentItem, DelegateId, DelegateRequest, DelegateValue, Envelope, ExecuteRequest, HEADER_LEN,
    Hello, HostOffer, HostToClient, ImageDetail, Json, LimitExceeded, Negotiated, Operation,
    OperationValue, OrderCheck, OutputTokens, OutputTruncation, ProtocolVersion, Rejection,
    RequestId, Rule, RuntimeResponse, Scope, SessionBudgets, SessionId, SessionUsage,
    SupportedVersions, ToolDefinition, ToolInvocation, ToolKind, ToolList, ToolName, WaitOutcome,
    WaitRequest, encode_frame, negotiate,
};
use proptest::{
    collection::{btree_set, vec},
    option,
    prelude::*,
    sample::{Index, select, subsequence},
    strategy::Union,
};
use serde_json::Value;

use crate::frames::frames_of;

proptest! {
    #[test]
    fn a_message_is_what_its_frame_says(client in client_to_host(), host in host_to_client()) {
        prop_assert_eq!(through_a_frame(&client), client);
        prop_assert_eq!(through_a_frame(&host), host);
    }

    #[test]
    fn the_order_of_fields_plays_no_part(client in client_to_host(), host in host_to_client()) {
        prop_assert_eq!(in_order_of_names(&client), client);
        prop_assert_eq!(in_order_of_names(&host), host);
    }

    #[test]
    fn no_object_takes_a_field_that_it_does_not_know(
        client in client_to_host(),
        host in host_to_client(),
        place in any::<Index>(),
    ) {
        refuses_a_stranger(&client, place)?;
        refuses_a_stranger(&host, place)?;
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        settles::<ClientToHost>(&bytes)?;
        settles::<HostToClient>(&bytes)?;
    }

    #[test]
    fn any_json_is_taken_or_refused(value in json_value()) {
        settles::<ClientToHost>(value.to_string().as_bytes())?;
        settles::<HostToClient>(value.to_string().as_bytes())?;
    }

    #[test]
    fn damaged_messages_are_taken_or_refused(
        client in client_to_host(),
        host in host_to_client(),
        damages in vec(damage(), 1..4),
    ) {
        settles::<ClientToHost>(&damaged(body(&client), &damages))?;
        settles::<HostToClient>(&damaged(body(&host), &damages))?;
    }

    #[test]
    fn any_stream_has_the_same_frames_however_it_is_cut(
        bodies in vec(vec(any::<u8>(), 0..300), 0..5),
        rest in vec(any::<u8>(), 0..8),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let mut stream = Vec::new();
        for body in &bodies {
            stream.extend_from_slice(&(body.len() as u32).to_le_bytes());
            stream.extend_from_slice(body);
        }
        stream.extend_from_slice(&rest);
        let whole = frames_of([&stream[..]]);
        prop_assert_eq!(&whole.0[..bodies.len()], bodies);

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut start = 0;
        let pieces = cuts.into_iter().chain([stream.len()]).map(|end| {
            let piece = &stream[start..end];
            start = end;
            piece
        });
        prop_assert_eq!(frames_of(pieces), whole);
    }
}

proptest! {
    #[test]
    fn what_is_agreed_on_is_what_both_have(
        hello in hello(),
        versions in versions(),
        capabilities in capabilities(),
    ) {
        let offer = HostOffer { versions, capabilities };
        match negotiate(&hello, &offer) {
            Ok(agreed) => {
                let Negotiated { version, capabilities } = agreed.clone();
                prop_assert!(offer.versions.contains(version));
                prop_assert!(hello.supported_versions().contains(version));
                for capability in hello.optional_capabilities().iter() {
                    let both = offer.capabilities.contains(capability);
                    prop_assert_eq!(capabilities.contains(capability), both);
                }
                prop_assert_eq!(Negotiated::from_ready(&hello, version, capabilities), Ok(agreed));
            }
            Err(Rejection::NoCompatibleVersion { .. }) => {
                let mut versions = offer.versions.iter();
                prop_assert!(!versions.any(|version| hello.supported_versions().contains(version)));
            }
            Err(Rejection::MissingRequiredCapability { capability }) => {
                prop_assert!(hello.required_capabilities().contains(&capability));
                prop_assert!(!offer.capabilities.contains(&capability));
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn an_orderly_conversation_is_in_order_and_says_nothing_twice(
        choices in vec(any::<Index>(), 0..60),
        again in any::<Index>(),
    ) {
        let conversation = orderly(&choices);
        let mut check = OrderCheck::new();
        for said in &conversation {
            prop_assert_eq!(said.follow(&mut check), Ok(()), "{:#?}", conversation);
        }
        let again = again.get(&conversation);
        if !matches!(again, Said::Client(ClientToHost::DelegateResponse { .. })) {
            prop_assert!(again.follow(&mut check).is_err(), "{:?} in {:#?}", again, conversation);
        }
    }
}

#[derive(Clone, Debug)]
enum Said {
    Client(ClientToHost),
    Host(HostToClient),
}

impl Said {
    fn follow(&self, check: &mut OrderCheck) -> Result<(), codemode_host_protocol::OrderError> {
        match self {
            Said::Client(message) => check.client_sends(message),
            Said::Host(message) => check.host_sends(message),
        }
    }
}

/// What a session with several cells at once may say, as `choices` have it.
fn orderly(choices: &[Index]) -> Vec<Said> {
    let session = || SessionId::new("s").unwrap();
    let hello =
        Hello::new(SupportedVersions::v1(), CapabilitySet::default(), CapabilitySet::default());
    let ready = HostToClient::Ready {
        selected_version: ProtocolVersion::V1,
        capabilities: CapabilitySet::default(),
    };
    let mut said = vec![Said::Client(ClientToHost::Hello(hello.unwrap())), Said::Host(ready)];
    let (mut last_id, mut last_delegate) = (0, 0);
    // Of each live cell: its request, its id, and its open delegate requests.
    let mut cells: Vec<(RequestId, CellId, Vec<DelegateId>)> = Vec::new();
    let answer = |id, value| HostToClient::OperationResponse { id, result: Answer::Ok { value } };
    for choice in choices {
        let cell = (!cells.is_empty()).then(|| choice.index(cells.len()));
        match (choice.index(5), cell) {
            (0, _) | (_, None) => {
                last_id += 1;
                let id = RequestId(last_id);
                let cell_id = CellId::new(last_id.to_string());
                let request = ExecuteRequest {
                    tool_call_id: "c".into(),
                    enabled_tools: ToolList::default(),
                    source: String::new(),
                    yield_time_ms: None,
                    max_output_tokens: None,
                };
                let request = Operation::Execute { session_id: session(), request };
                said.push(Said::Client(ClientToHost::OperationRequest { id, request }));
                let started = OperationValue::ExecutionStarted { cell_id: cell_id.clone() };
                said.push(Said::Host(answer(id, started)));
                cells.push((id, cell_id, Vec::new()));
            }
            (1 | 2, Some(at)) => {
                last_delegate += 1;
                let (_, cell_id, open) = &mut cells[at];
                open.push(DelegateId(last_delegate));
                said.push(Said::Host(HostToClient::DelegateRequest {
                    id: DelegateId(last_delegate),
                    session_id: session(),
                    request: DelegateRequest::NotificationSend {
                        call_id: "c".into(),
                        cell_id: cell_id.clone(),
                        text: "t".into(),
                    },
                }));
            }
            (3, Some(at)) => {
                if let Some(id) = cells[at].2.pop() {
                    let value = DelegateValue::NotificationDelivered;
                    let result = Answer::Ok { value };
                    said.push(Said::Client(ClientToHost::DelegateResponse { id, result }));
                }
            }
            (_, Some(at)) => {
                let (id, cell_id, open) = cells.remove(at);
                let cancels = open.into_iter().map(|id| HostToClient::DelegateCancel { id });
                said.extend(cancels.map(Said::Host));
                let value = RuntimeResponse::Terminated {
                    cell_id: cell_id.clone(),
                    content_items: Vec::new(),
                    code_mode_host_duration_ns: 0,
                };
                let result = Answer::Ok { value };
                said.push(Said::Host(HostToClient::ExecuteInitialResponse { id, result }));
                said.push(Said::Host(HostToClient::CellClosed { session_id: session(), cell_id }));
            }
        }
    }
    said
}

fn through_a_frame<E: Envelope>(message: &E) -> E {
    E::decode(&body(message)).unwrap()
}

/// The message again, from a text whose fields are in the order of their names.
fn in_order_of_names<E: Envelope>(message: &E) -> E {
    let value: Value = serde_json::from_slice(&body(message)).unwrap();
    E::decode(value.to_string().as_bytes()).unwrap()
}

/// Puts a field that nobody knows into one of the message's objects.
fn refuses_a_stranger<E: Envelope>(message: &E, place: Index) -> Result<(), TestCaseError> {
    let mut value: Value = serde_json::from_slice(&body(message)).unwrap();
    let mut objects = Vec::new();
    collect_objects(&value, String::new(), &mut objects);
    let pointer = place.get(&objects);
    let object = value.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    object.insert("stranger".to_owned(), Value::Null);

    let Err(error) = E::decode(value.to_string().as_bytes()) else {
        return Err(TestCaseError::fail(format!("taken: {value}")));
    };
    let expected = match error.rule {
        Rule::UnknownField { .. } => format!("{pointer}/stranger"),
        Rule::NotOneVariant { .. } => pointer.clone(),
        _ => return Err(TestCaseError::fail(error.to_string())),
    };
    let path = expected.trim_start_matches('/').replace('/', ".");
    prop_assert_eq!(error.path.replace('[', ".").replace(']', ""), path);
    prop_assert_eq!(error.message_type, Some(message.message_type()));
    prop_assert_eq!(error.id, value.get("id").and_then(Value::as_i64));
    Ok(())
}

/// JSON pointers to the objects of a message, but for those inside a payload.
fn collect_objects(value: &Value, pointer: String, objects: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_payload =
                    matches!(name.as_str(), "input" | "input_schema" | "output_schema")
                        || (name == "result" && fields["type"] == "tool/result");
                if !is_payload {
                    collect_objects(value, format!("{pointer}/{name}"), objects);
                }
            }
            objects.push(pointer);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_objects(item, format!("{pointer}/{index}"), objects);
            }
        }
        _ => {}
    }
}

/// Whatever the bytes are, they are refused with an error that can be printed, or they are a message.
fn settles<E: Envelope + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    match E::decode(bytes) {
        Ok(message) => prop_assert_eq!(through_a_frame(&message), message),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

pub(crate) fn body<E: Envelope>(message: &E) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame).unwrap();
    frame.split_off(HEADER_LEN)
}

#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Cut(Index),
    Remove(Index),
    Replace(Index, u8),
    Insert(Index, &'static str),
    Double(Index, Index),
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let tokens = ["{", "}", "[", "]", "\"", ",", ":", "\\", "\\u", "null", "1", "-", ".", "\u{e9}"];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (any::<Index>(), select(tokens.to_vec())).prop_map(|(at, token)| Damage::Insert(at, token)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Double(from, to)),
    ]
}

pub(crate) fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len();
        if len == 0 {
            break;
        }
        match damage {
            Damage::Cut(at) => bytes.truncate(at.index(len)),
            Damage::Remove(at) => drop(bytes.remove(at.index(len))),
            Damage::Replace(at, byte) => bytes[at.index(len)] = *byte,
            Damage::Insert(at, token) => {
                let at = at.index(len);
                bytes.splice(at..at, token.bytes());
            }
            Damage::Double(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(from.max(to)..from.max(to), part);
            }
        }
    }
    bytes
}

pub(crate) fn client_to_host() -> impl Strategy<Value = ClientToHost> {
    prop_oneof![
        1 => hello().prop_map(ClientToHost::Hello),
        4 => (request_id(), operation())
            .prop_map(|(id, request)| ClientToHost::OperationRequest { id, request }),
        1 => request_id().prop_map(|id| ClientToHost::OperationCancel { id }),
        1 => request_id().prop_map(|id| ClientToHost::OperationYield { id }),
        2 => (delegate_id(), answer(delegate_value()))
            .prop_map(|(id, result)| ClientToHost::DelegateResponse { id, result }),
    ]
}

fn host_to_client() -> impl Strategy<Value = HostToClient> {
    prop_oneof![
        1 => (version(), capabilities()).prop_map(|(selected_version, capabilities)| {
            HostToClient::Ready { selected_version, capabilities }
        }),
        1 => rejection().prop_map(|reason| HostToClient::Rejected { reason }),
        2 => (request_id(), answer(operation_value()))
            .prop_map(|(id, result)| HostToClient::OperationResponse { id, result }),
        2 => (request_id(), answer(runtime_response()))
            .prop_map(|(id, result)| HostToClient::ExecuteInitialResponse { id, result }),
        2 => (delegate_id(), session_id(), delegate_request()).prop_map(
            |(id, session_id, request)| HostToClient::DelegateRequest { id, session_id, request }
        ),
        1 => delegate_id().prop_map(|id| HostToClient::DelegateCancel { id }),
        1 => (session_id(), cell_id())
            .prop_map(|(session_id, cell_id)| HostToClient::CellClosed { session_id, cell_id }),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    (versions(), capabilities(), any::<bool>()).prop_map(|(versions, all, odd)| {
        let (required, optional): (Vec<_>, Vec<_>) =
            all.iter().cloned().enumerate().partition(|(index, _)| (index % 2 == 0) == odd);
        let set = |part: Vec<(usize, Capability)>| part.into_iter().map(|(_, name)| name).collect();
        Hello::new(versions, set(required), set(optional)).unwrap()
    })
}

fn rejection() -> impl Strategy<Value = Rejection> {
    prop_oneof![
        versions()
            .prop_map(|supported_versions| Rejection::NoCompatibleVersion { supported_versions }),
        capability().prop_map(|capability| Rejection::MissingRequiredCapability { capability }),
        text().prop_map(|message| Rejection::InvalidHello { message }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let limits = (option::of(any::<u64>()), option::of(any::<u64>())).prop_map(|(time, heap)| {
        CellExecutionLimits { max_yield_time_ms: time, max_heap_size_bytes: heap }
    });
    let truncation = select(&[OutputTruncation::Client, OutputTruncation::Server][..]);
    let wait = (cell_id(), any::<u64>())
        .prop_map(|(cell_id, yield_time_ms)| WaitRequest { cell_id, yield_time_ms });
    prop_oneof![
        (session_id(), option::of(limits), option::of(truncation), option::of(session_budgets()))
            .prop_map(|(session_id, cell_execution_limits, output_truncation, budgets)| {
                Operation::Open {
                    session_id,
                    cell_execution_limits,
                    output_truncation,
                    budgets: budgets.map(Box::new),
                }
            }),
        (session_id(), execute_request())
            .prop_map(|(session_id, request)| Operation::Execute { session_id, request }),
        (session_id(), wait, option::of(any::<u64>())).prop_map(
            |(session_id, request, max_output_tokens)| Operation::Wait {
                session_id,
                request,
                max_output_tokens
            }
        ),
        (session_id(), cell_id(), option::of(any::<u64>())).prop_map(
            |(session_id, cell_id, max_output_tokens)| Operation::Terminate {
                session_id,
                cell_id,
                max_output_tokens
            }
        ),
        session_id().prop_map(|session_id| Operation::Usage { session_id }),
        session_id().prop_map(|session_id| Operation::Tools { session_id }),
        session_id().prop_map(|session_id| Operation::Shutdown { session_id }),
    ]
}

fn execute_request() -> impl Strategy<Value = ExecuteRequest> {
    let tokens = (0..=i32::MAX as u32).prop_map(|count| OutputTokens::new(count).unwrap());
    (text(), tool_list(), text(), option::of(any::<u64>()), option::of(tokens)).prop_map(
        |(tool_call_id, enabled_tools, source, yield_time_ms, max_output_tokens)| ExecuteRequest {
            tool_call_id,
            enabled_tools,
            source,
            yield_time_ms,
            max_output_tokens,
        },
    )
}

fn tool_list() -> impl Strategy<Value = ToolList> {
    vec(tool_definition(), 0..3).prop_map(ToolList::from)
}

fn tool_definition() -> impl Strategy<Value = ToolDefinition> {
    (text(), tool_name(), text(), tool_kind(), option::of(some_json()), option::of(some_json()))
        .prop_map(|(name, tool_name, description, kind, input_schema, output_schema)| {
            ToolDefinition { name, tool_name, description, kind, input_schema, output_schema }
        })
}

fn delegate_request() -> impl Strategy<Value = DelegateRequest> {
    let invocation = (cell_id(), text(), tool_name(), tool_kind(), option::of(some_json()))
        .prop_map(|(cell_id, runtime_tool_call_id, tool_name, tool_kind, input)| ToolInvocation {
            cell_id,
            runtime_tool_call_id,
            tool_name,
            tool_kind,
            input,
        });
    prop_oneof![
        invocation.prop_map(|invocation| DelegateRequest::ToolInvoke { invocation }),
        (text(), cell_id(), text()).prop_map(|(call_id, cell_id, text)| {
            DelegateRequest::NotificationSend { call_id, cell_id, text }
        }),
    ]
}

fn delegate_value() -> impl Strategy<Value = DelegateValue> {
    prop_oneof![
        json_value().prop_map(|value| DelegateValue::ToolResult { result: value.into() }),
        Just(DelegateValue::NotificationDelivered),
    ]
}

fn operation_value() -> impl Strategy<Value = OperationValue> {
    let outcome = (runtime_response(), any::<bool>()).prop_map(|(response, live)| match live {
        true => WaitOutcome::LiveCell(response),
        false => WaitOutcome::MissingCell(response),
    });
    prop_oneof![
        session_id().prop_map(|session_id| OperationValue::SessionReady { session_id }),
        cell_id().prop_map(|cell_id| OperationValue::ExecutionStarted { cell_id }),
        outcome.prop_map(|outcome| OperationValue::WaitCompleted { outcome }),
        (session_id(), session_usage()).prop_map(|(session_id, usage)| {
            OperationValue::SessionUsage { session_id, usage: Box::new(usage) }
        }),
        (session_id(), vec(tool_definition(), 0..3))
            .prop_map(|(session_id, tools)| OperationValue::SessionTools { session_id, tools }),
        session_id().prop_map(|session_id| OperationValue::SessionClosed { session_id }),
    ]
}

fn runtime_response() -> impl Strategy<Value = RuntimeResponse> {
    let items = || vec(content_item(), 0..4);
    prop_oneof![
        (
            cell_id(),
            items(),
            option::of(text()),
            option::of(limit_exceeded()),
            any::<u64>(),
            any::<u64>()
        )
            .prop_map(
                |(cell_id, content_items, error_text, limit_exceeded, buffered, duration)| {
                    RuntimeResponse::Result {
                        cell_id,
                        content_items,
                        error_text,
                        limit_exceeded,
                        result_buffered_for_ns: buffered,
                        code_mode_host_duration_ns: duration,
                    }
                }
            ),
        (cell_id(), items(), any::<u64>()).prop_map(
            |(cell_id, content_items, code_mode_host_duration_ns)| RuntimeResponse::Yielded {
                cell_id,
                content_items,
                code_mode_host_duration_ns
            }
        ),
        (cell_id(), items(), any::<u64>()).prop_map(
            |(cell_id, content_items, code_mode_host_duration_ns)| RuntimeResponse::Terminated {
                cell_id,
                content_items,
                code_mode_host_duration_ns
            }
        ),
    ]
}

fn session_budgets() -> impl Strategy<Value = SessionBudgets> {
    let of = |scope| option::of(budgets(move |budget: Budget| budget.is_of(scope)));
    (of(Scope::Cell), of(Scope::Session))
        .prop_map(|(cell, session)| SessionBudgets { cell, session })
}

fn budgets(is_in: impl Fn(Budget) -> bool) -> impl Strategy<Value = Budgets> {
    let all: Vec<_> = Budget::ALL.into_iter().filter(|budget| is_in(*budget)).collect();
    vec((select(all), any::<u64>()), 0..4).prop_map(Budgets::from_iter)
}

fn session_usage() -> impl Strategy<Value = SessionUsage> {
    let all = || budgets(|_| true);
    (all(), all(), all(), option::of(limit_exceeded())).prop_map(
        |(used, limits, cell_limits, exceeded)| SessionUsage {
            used,
            limits,
            cell_limits,
            exceeded,
        },
    )
}

fn limit_exceeded() -> impl Strategy<Value = LimitExceeded> {
    let scope = select(&[Scope::Cell, Scope::Session, Scope::Host][..]);
    (scope, select(&Budget::ALL[..]), any::<u64>(), any::<u64>())
        .prop_map(|(scope, budget, limit, used)| LimitExceeded { scope, budget, limit, used })
}

fn content_item() -> impl Strategy<Value = ContentItem> {
    let details = [ImageDetail::Auto, ImageDetail::Low, ImageDetail::High, ImageDetail::Original];
    let detail = subsequence(details.to_vec(), 0..=1).prop_map(|details| details.first().copied());
    prop_oneof![
        text().prop_map(|text| ContentItem::InputText { text }),
        (text(), detail)
            .prop_map(|(image_url, detail)| ContentItem::InputImage { image_url, detail }),
        text().prop_map(|audio_url| ContentItem::InputAudio { audio_url }),
    ]
}

fn answer<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Answer<T>> {
    prop_oneof![
        3 => value.prop_map(Answer::ok),
        1 => text().prop_map(Answer::error),
    ]
}

fn versions() -> impl Strategy<Value = SupportedVersions> {
    btree_set(version(), 1..4).prop_map(|versions| SupportedVersions::new(versions).unwrap())
}

fn version() -> impl Strategy<Value = ProtocolVersion> {
    (1..=u32::MAX).prop_map(|number| ProtocolVersion::new(number).unwrap())
}

fn capabilities() -> impl Strategy<Value = CapabilitySet> {
    vec(capability(), 0..5).prop_map(CapabilitySet::from_iter)
}

fn capability() -> impl Strategy<Value = Capability> {
    name().prop_map(|name| Capability::new(name).unwrap())
}

fn session_id() -> impl Strategy<Value = SessionId> {
    name().prop_map(|name| SessionId::new(name).unwrap())
}

fn cell_id() -> impl Strategy<Value = CellId> {
    text().prop_map(CellId::new)
}

fn request_id() -> impl Strategy<Value = RequestId> {
    any::<i64>().prop_map(RequestId)
}

fn delegate_id() -> impl Strategy<Value = DelegateId> {
    any::<i64>().prop_map(DelegateId)
}

fn tool_name() -> impl Strategy<Value = ToolName> {
    (text(), option::of(text())).prop_map(|(name, namespace)| ToolName { name, namespace })
}

fn tool_kind() -> impl Strategy<Value = ToolKind> {
    select(&[ToolKind::Function, ToolKind::Freeform][..])
}

/// A text that is not blank.
fn name() -> impl Strategy<Value = String> {
    text().prop_filter("blank", |text| !text.trim().is_empty())
}

/// Any text, and often one that is awkward inside JSON.
fn text() -> impl Strategy<Value = String> {
    let awkward =
        ["\"", "\\", "{", "}", "[", "]", ",", ":", "\\u0041", "\n", "\0", "\u{2028}", "😀", "a"];
    Union::new_weighted(vec![
        (5, any::<String>().boxed()),
        (9, vec(select(awkward.to_vec()), 0..6).prop_map(|parts| parts.concat()).boxed()),
        // Long enough for an outline to hold it.
        (1, (500..520_usize).prop_map(|count| "\\\"]".repeat(count)).boxed()),
    ])
}

/// A payload that is not null: where one may be null, null is the absence of it.
fn some_json() -> impl Strategy<Value = Json> {
    json_value().prop_filter("null", |value| !value.is_null()).prop_map(Json::from)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Fractions that `Value` reads as it writes them.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop_oneof![
            text(),
            select(&["type", "id", "method", "request", "result", "status"][..])
                .prop_map(str::to_owned),
        ];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((names, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
