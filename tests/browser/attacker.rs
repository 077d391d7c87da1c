//! Another site, whose pages send forms to the shop as soon as somebody looks at them.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::shop::Via;
use crate::tls;
use crate::visit::Visit;

/// A site that answers everything with one page, which does what its address says.
pub(crate) struct Attacker {
    via: Via,
    port: u16,
}

impl Attacker {
    /// Opens it, on a port of its own.
    pub(crate) async fn open(via: Via) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut port = listener.local_addr().unwrap().port();
        if let Via::Tls = via {
            let proxy = tls::bind().await;
            let plain = port;
            port = proxy.local_addr().unwrap().port();
            tls::serve(proxy, plain);
        }
        tokio::spawn(async move {
            loop {
                let (visitor, _) = listener.accept().await.unwrap();
                // A browser may hang up at any time.
                tokio::spawn(answer(visitor));
            }
        });
        Self { via, port }
    }

    /// Lets a browser look at the page, under a name of this host's; and returns with what status
    /// and in which words the shop has answered the form.
    pub(crate) async fn lure(
        &self,
        visit: &Visit,
        host: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (u64, String) {
        let scheme = match self.via {
            Via::Http => "http",
            Via::Tls => "https",
        };
        let form = json!({ "action": format!("{}{path}", visit.url), "fields": fields });
        let form = percent(&form.to_string());
        let trap = format!("{scheme}://{host}:{}/#{form}", self.port);
        visit.browser.goto_and_on(&trap, &visit.url).await;
        let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
        let status = visit.browser.run(status).await.as_u64().unwrap();
        (status, visit.browser.texts("body").await.concat())
    }
}

async fn answer(mut visitor: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(visitor.read_u8().await?);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length:";
    visitor.write_all(format!("{head} {}\r\n\r\n{PAGE}", PAGE.len()).as_bytes()).await?;
    visitor.shutdown().await
}

const PAGE: &str = "<!doctype html><title>You have won a teapot</title><body><script>
const { action, fields } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const form = document.createElement('form');
form.method = 'post';
form.action = action;
for (const [name, value] of fields) {
    const input = document.createElement('input');
    input.name = name;
    input.value = value;
    form.append(input);
}
document.body.append(form);
form.submit();
</script>";

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
