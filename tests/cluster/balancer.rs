//! A small TCP balancer: each connection goes to the next node that takes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::free_address;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Balancer {
    address: SocketAddr,
    acceptor: JoinHandle<()>,
}

impl Balancer {
    pub async fn before(nodes: Vec<SocketAddr>) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).await.expect("a free loopback port");
        let (nodes, turn) = (Arc::new(nodes), Arc::new(AtomicUsize::new(0)));
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, Arc::clone(&nodes), turn.fetch_add(1, Ordering::Relaxed)));
            }
        });
        Self { address, acceptor }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn pass_on(mut client: TcpStream, nodes: Arc<Vec<SocketAddr>>, turn: usize) {
    for offset in 0..nodes.len() {
        if let Ok(mut node) = TcpStream::connect(nodes[(turn + offset) % nodes.len()]).await {
            let _ = (client.set_nodelay(true), node.set_nodelay(true));
            let _ = tokio::io::copy_bidirectional(&mut client, &mut node).await;
            return;
        }
    }
}
