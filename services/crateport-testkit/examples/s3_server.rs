//! The kit's S3 server for other machines and containers: `s3_server server` listens on port 3900 of every address, until
//! it is killed. `s3_server` alone tells by its exit whether there is one.
//!
//! It stands in for Garage where no Garage can be had, and therefore takes Garage's words for it and ignores the rest.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::{Ipv4Addr, SocketAddr};

use crateport_testkit::S3Server;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

const PORT: u16 = 3900;

#[tokio::main]
async fn main() {
    if !std::env::args().any(|argument| argument == "server") {
        TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).await.unwrap();
        return;
    }
    let server = S3Server::start().await;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await.unwrap();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(pass_on(client, server.address()));
    }
}

/// The kit listens on 127.0.0.1 alone. How a connection ends is the client's affair.
async fn pass_on(mut client: TcpStream, server: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
