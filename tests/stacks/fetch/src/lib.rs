//! Sends operations with the host's `fetch`, for servers and edge functions that run WebAssembly.
//! It must not run in a browser, where the client secret would be public.
//!
//! `fetch` does not promise what the adapters promise: it may reuse a connection for a code,
//! decompresses responses, does not limit the size of a head, and does not tell whether a failed
//! request was sent.

#![forbid(unsafe_code)]

use dropbox_sign_oauth::{
    App, CallError, DEFAULT_BODY_LIMIT, DEFAULT_DEADLINE, Endpoints, Failure, Operation, PlainHttp,
    ResponseCollector, State,
};
use http::{Request, Response, response::Parts};
use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsError, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, RequestRedirect};

/// Exchanges the code of a callback. Returns the e-mail address of the account.
#[wasm_bindgen]
pub async fn connect(
    base_url: &str,
    client_id: &str,
    client_secret: &str,
    query: &str,
    state: &str,
) -> Result<String, JsError> {
    let app = App::builder(client_id, client_secret).endpoints(Endpoints::at(base_url)?).build()?;
    let code = app.callback(query, &State::from_stored(state)?)?;
    let tokens = send(app.generate(code)).await?;
    Ok(send(app.account(&tokens.access_token)).await?.email_address)
}

async fn send<O: Operation>(operation: O) -> Result<O::Output, CallError> {
    let (request, replay) = (operation.request(), operation.replay());
    let insecure = |error| CallError::NotSent(Failure::insecure(error));
    PlainHttp::default().check(request.uri()).map_err(insecure)?;
    let unknown = |error: JsValue| {
        let failure = Failure::exchange(format!("{error:?}"));
        CallError::Unknown { failure, replay }
    };
    let (head, body) = fetch(&request).await.map_err(unknown)?;
    let mut collector = ResponseCollector::new(head, DEFAULT_BODY_LIMIT);
    let collected = async {
        collector.reserve()?;
        while let Some(chunk) = read(body.as_ref()).await.map_err(unknown)? {
            collector.push(&chunk)?;
        }
        Ok(())
    };
    let response = match collected.await {
        Ok(()) => collector.finish(),
        Err(error) => collector.interrupted::<CallError>(error)?,
    };
    Ok(operation.parse(response)?)
}

/// Returns the head of the response, and a reader of its body.
async fn fetch(
    request: &Request<Vec<u8>>,
) -> Result<(Parts, Option<ReadableStreamDefaultReader>), JsValue> {
    let init = RequestInit::new();
    init.set_method(request.method().as_str());
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(DEFAULT_DEADLINE.as_millis() as u32)));
    let headers = Headers::new()?;
    for (name, value) in request.headers() {
        headers.append(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    init.set_headers(&headers);
    if !request.body().is_empty() {
        init.set_body(&Uint8Array::from(&**request.body()));
    }
    let host: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
    let response = host.fetch_with_str_and_init(&request.uri().to_string(), &init);
    let response: web_sys::Response = JsFuture::from(response).await?.dyn_into()?;

    let mut head = Response::builder().status(response.status());
    for header in js_sys::try_iter(&response.headers())?.into_iter().flatten() {
        let header: Array = header?.unchecked_into();
        let (name, value) = (header.get(0).as_string(), header.get(1).as_string());
        head = head.header(name.unwrap_or_default(), value.unwrap_or_default());
    }
    let head = head.body(()).map_err(|error| error.to_string())?.into_parts().0;
    Ok((head, response.body().map(|body| body.get_reader().unchecked_into())))
}

/// Returns the next chunk of a body.
async fn read(body: Option<&ReadableStreamDefaultReader>) -> Result<Option<Vec<u8>>, JsValue> {
    let Some(body) = body else {
        return Ok(None);
    };
    let result = JsFuture::from(body.read()).await?;
    let value = Reflect::get(&result, &"value".into())?;
    Ok(value.dyn_into().ok().map(|chunk: Uint8Array| chunk.to_vec()))
}
