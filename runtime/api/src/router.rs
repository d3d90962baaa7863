//! From method and path to a verb.
//!
//! A path may start with a version; without one the newest is meant. Names of images may contain slashes, so routes of images
//! are told by their end.

use http::{Method, Request, Response, header};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::body::Body;
use crate::call::{Answer, Call, Query, Version};
use crate::failure::Failure;
use crate::routes::{container, exec, image, network, system, volume};
use crate::{Api, NEWEST, OLDEST};

/// The longest path and query together, in bytes. A filter for every label of a project is far below.
const TARGET_LIMIT: usize = 32 << 10;

/// Answers one request.
pub async fn answer(api: Api, request: Request<Incoming>) -> Response<Body> {
    // On its own, because hyper drops what it waits for when the client goes away, and no verb may end half-way.
    let verb = tokio::spawn(route(api, request));
    let mut response = match verb.await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.response(),
        Err(error) => Failure::internal(format!("the request was not served to its end: {error}")).response(),
    };
    let headers = response.headers_mut();
    let version = header::HeaderValue::from_str(&NEWEST.to_string()).expect("digits and a dot");
    headers.insert("api-version", version);
    headers.insert("ostype", header::HeaderValue::from_static("linux"));
    headers.insert("docker-experimental", header::HeaderValue::from_static("false"));
    let server = header::HeaderValue::from_static(concat!("Coffer/", env!("CARGO_PKG_VERSION"), " (linux)"));
    headers.insert(header::SERVER, server);
    response
}

async fn route(api: Api, mut request: Request<Incoming>) -> Answer {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_LIMIT {
        let message = format!("request path is longer than {TARGET_LIMIT} bytes");
        return Err(Failure { status: http::StatusCode::URI_TOO_LONG, message });
    }
    let (version, path) = split(request.uri().path())?;
    let query = Query::parse(request.uri().query());
    let upgrade = wants_upgrade(&request).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let call = Call { api, version, headers: parts.headers, query, body, upgrade };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    dispatch(&parts.method, &path, call).await
}

fn wants_upgrade(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp"))
}

/// Takes the version from a path, and the path apart.
pub fn split(path: &str) -> Result<(Version, Vec<String>), Failure> {
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let text = percent_decode_str(segment).decode_utf8();
        let text = text.map_err(|_| Failure::bad_request("the path is not UTF-8"))?;
        if text.contains('\0') {
            return Err(Failure::bad_request("the path contains a NUL"));
        }
        segments.push(text.into_owned());
    }
    let version =
        segments.first().and_then(|first| first.strip_prefix('v')).and_then(|text| text.parse().ok());
    let Some(version) = version else { return Ok((NEWEST, segments)) };
    segments.remove(0);
    if version < OLDEST {
        return Err(Failure::bad_request(format!(
            "client version {version} is too old. Minimum supported API version is {OLDEST}, please upgrade your client to a \
             newer version"
        )));
    }
    if version > NEWEST {
        return Err(Failure::bad_request(format!(
            "client version {version} is too new. Maximum supported API version is {NEWEST}"
        )));
    }
    Ok((version, segments))
}

async fn dispatch(method: &Method, path: &[&str], call: Call) -> Answer {
    match path {
        ["containers", rest @ ..] => containers(method, rest, call).await,
        ["exec", id, verb] => match (method.as_str(), *verb) {
            ("POST", "start") => exec::start(call, id).await,
            ("POST", "resize") => exec::resize(call, id).await,
            ("GET", "json") => exec::inspect(call, id).await,
            _ => Err(no_such_page()),
        },
        ["images", rest @ ..] => images(method, rest, call).await,
        ["networks", rest @ ..] => networks(method, rest, call).await,
        ["volumes", rest @ ..] => volumes(method, rest, call).await,
        _ => system_routes(method, path, call).await,
    }
}

async fn containers(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["json"]) => container::list(call).await,
        ("POST", ["create"]) => container::create(call).await,
        ("POST", ["prune"]) => container::prune(call).await,
        ("DELETE", [id]) => container::remove(call, id).await,
        ("GET", [id, "json"]) => container::inspect(call, id).await,
        ("GET", [id, "logs"]) => container::logs(call, id).await,
        ("GET", [id, "top"]) => container::top(call, id).await,
        ("GET", [id, "stats"]) => container::stats(call, id).await,
        ("GET", [id, "changes"]) => container::changes(call, id).await,
        ("GET", [id, "export"]) => container::export(call, id).await,
        ("HEAD", [id, "archive"]) => container::archive_stat(call, id).await,
        ("GET", [id, "archive"]) => container::archive_get(call, id).await,
        ("PUT", [id, "archive"]) => container::archive_put(call, id).await,
        ("POST", [id, "start"]) => container::start(call, id).await,
        ("POST", [id, "stop"]) => container::stop(call, id).await,
        ("POST", [id, "restart"]) => container::restart(call, id).await,
        ("POST", [id, "kill"]) => container::kill(call, id).await,
        ("POST", [id, "pause"]) => container::pause(call, id).await,
        ("POST", [id, "unpause"]) => container::unpause(call, id).await,
        ("POST", [id, "rename"]) => container::rename(call, id).await,
        ("POST", [id, "resize"]) => container::resize(call, id).await,
        ("POST", [id, "wait"]) => container::wait(call, id).await,
        ("POST", [id, "attach"]) => container::attach(call, id).await,
        ("POST", [id, "update"]) => container::update(call, id).await,
        ("POST", [id, "exec"]) => exec::create(call, id).await,
        (_, [_, "attach", "ws"]) => Err(Failure::unsupported("attaching by a websocket")),
        (_, [_, "checkpoints", ..]) => Err(Failure::unsupported("docker checkpoint")),
        _ => Err(no_such_page()),
    }
}

async fn images(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["json"]) => image::list(call).await,
        ("POST", ["create"]) => image::create(call).await,
        ("POST", ["load"]) => image::load(call).await,
        ("POST", ["prune"]) => image::prune(call).await,
        ("GET", ["get"]) => image::save_many(call).await,
        ("GET", ["search"]) => Err(Failure::unsupported("docker search")),
        ("GET", [name @ .., "json"]) => image::inspect(call, &name.join("/")).await,
        ("GET", [name @ .., "history"]) => image::history(call, &name.join("/")).await,
        ("GET", [name @ .., "get"]) => image::save(call, &name.join("/")).await,
        ("POST", [name @ .., "tag"]) => image::tag(call, &name.join("/")).await,
        ("POST", [_, .., "push"]) => Err(Failure::unsupported("docker push")),
        ("DELETE", name) if !name.is_empty() => image::remove(call, &name.join("/")).await,
        _ => Err(no_such_page()),
    }
}

async fn networks(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", []) => network::list(call).await,
        ("POST", ["create"]) => network::create(call).await,
        ("POST", ["prune"]) => network::prune(call).await,
        ("GET", [name]) => network::inspect(call, name).await,
        ("DELETE", [name]) => network::remove(call, name).await,
        ("POST", [name, "connect"]) => network::connect(call, name).await,
        ("POST", [name, "disconnect"]) => network::disconnect(call, name).await,
        _ => Err(no_such_page()),
    }
}

async fn volumes(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", []) => volume::list(call).await,
        ("POST", ["create"]) => volume::create(call).await,
        ("POST", ["prune"]) => volume::prune(call).await,
        ("GET", [name]) => volume::inspect(call, name).await,
        ("DELETE", [name]) => volume::remove(call, name).await,
        ("PUT", [_]) => Err(Failure::unsupported("updating cluster volumes")),
        _ => Err(no_such_page()),
    }
}

async fn system_routes(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET" | "HEAD", ["_ping"]) => system::ping(method),
        ("GET", ["version"]) => system::version(),
        ("GET", ["info"]) => system::info(call).await,
        ("GET", ["events"]) => system::events(call).await,
        ("GET", ["system", "df"]) => system::disk_usage(call).await,
        ("POST", ["auth"]) => system::auth(call).await,
        ("POST", ["build", "prune"]) => system::build_prune(),
        ("POST", ["build", ..]) => Err(Failure::unsupported("docker build")),
        ("POST", ["commit"]) => Err(Failure::unsupported("docker commit")),
        ("POST", ["session" | "grpc"]) => Err(Failure::unsupported("BuildKit")),
        (_, ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs", ..]) => Err(Failure {
            status: http::StatusCode::SERVICE_UNAVAILABLE,
            message: "This node is not a swarm manager. Swarm mode is not supported by Coffer yet".to_owned(),
        }),
        ("GET", ["plugins"]) => crate::call::json(&serde_json::json!([])),
        (_, ["plugins", ..]) => Err(Failure::unsupported("docker plugin")),
        ("GET", ["distribution", ..]) => Err(Failure::unsupported("inspecting images of a registry")),
        _ => Err(no_such_page()),
    }
}

fn no_such_page() -> Failure {
    Failure::not_found("page not found")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_told_from_paths() {
        let (version, path) = split("/v1.41/images/a/b:c/json").unwrap();
        assert_eq!((version.to_string().as_str(), path.join("|").as_str()), ("1.41", "images|a|b:c|json"));
        assert_eq!(split("/volumes/v1").unwrap(), (NEWEST, vec!["volumes".to_owned(), "v1".to_owned()]));
        assert_eq!(split("/images/a%2Fb/json").unwrap().1[1], "a/b");
    }

    #[test]
    fn versions_out_of_range_get_dockers_words() {
        assert!(
            split("/v1.23/info")
                .unwrap_err()
                .message
                .contains("is too old. Minimum supported API version is 1.24")
        );
        assert!(
            split("/v1.52/info")
                .unwrap_err()
                .message
                .contains("is too new. Maximum supported API version is 1.51")
        );
        assert!(split("/v1.1000000000/x").is_ok());
    }

    proptest! {
        #[test]
        fn any_path_is_split(path in "(/|%[0-9a-fA-F]{2}|v1\\.[0-9]{1,3}|.){0,30}") {
            let _ = split(&path);
        }
    }
}
