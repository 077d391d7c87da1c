//! A proxy that ends TLS in front of a shop, with a certificate that nobody else trusts.

use std::sync::Arc;

use rcgen::CertifiedKey;
use tokio::io;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Where browsers will find the shop; bound first, since the shop has to be told its address.
pub(crate) async fn bind() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

/// Passes on what comes, until the test ends.
pub(crate) fn serve(listener: TcpListener, shop: u16) {
    let acceptor = acceptor();
    tokio::spawn(async move {
        loop {
            let (visitor, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A browser may hang up at any time.
                let mut visitor = acceptor.accept(visitor).await?;
                let mut shop = TcpStream::connect(("127.0.0.1", shop)).await?;
                io::copy_bidirectional(&mut visitor, &mut shop).await
            });
        }
    });
}

fn acceptor() -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
