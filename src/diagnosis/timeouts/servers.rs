//! What common servers do with idle connections unless told otherwise. Used
//! only as an assumption, and said to be one: images are configured.

/// A server's documented behaviour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerDefault {
    /// As its manual calls it.
    pub server: &'static str,
    /// Idle keep-alive in seconds.
    pub keepalive_s: f64,
    /// Where the manual says so.
    pub doc: &'static str,
}

/// Image name, and its default. Versioned differences (Puma 7, Node's next
/// major) are left out where the image name cannot tell.
const BY_IMAGE: [(&str, ServerDefault); 6] = [
    ("nginx", ServerDefault { server: "nginx", keepalive_s: 75.0, doc: "nginx keepalive_timeout" }),
    ("httpd", ServerDefault { server: "Apache httpd", keepalive_s: 5.0, doc: "httpd KeepAliveTimeout" }),
    ("node", ServerDefault { server: "Node.js", keepalive_s: 5.0, doc: "Node.js server.keepAliveTimeout" }),
    (
        "tomcat",
        ServerDefault { server: "Tomcat", keepalive_s: 20.0, doc: "Tomcat server.xml connectionTimeout" },
    ),
    ("jetty", ServerDefault { server: "Jetty", keepalive_s: 30.0, doc: "Jetty ServerConnector idleTimeout" }),
    ("caddy", ServerDefault { server: "Caddy", keepalive_s: 300.0, doc: "Caddy servers idle timeout" }),
];

/// The default of the server an image is named after: `nginx:1.27`,
/// `public.ecr.aws/docker/library/httpd@sha256:...`.
pub fn server_default(image: &str) -> Option<ServerDefault> {
    let last = image.rsplit('/').next()?;
    let name = last.split(['@', ':']).next()?;
    BY_IMAGE.iter().find(|(n, _)| *n == name).map(|(_, d)| *d)
}
