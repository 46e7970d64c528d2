//! TLS on a connection's socket: what the session reads and writes is plain.

use crate::connection::{Output, Wrote};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// Plain bytes that are encrypted at once.
const CHUNK: usize = 64 << 10;

/// A server's certificate chain and key.
#[derive(Clone)]
pub struct TlsConfig(Arc<ServerConfig>);

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}

impl TlsConfig {
    /// TLS 1.2 and 1.3, without client certificates.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> io::Result<TlsConfig> {
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(invalid)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(invalid)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(invalid)?;
        // PostgreSQL's clients do not resume sessions.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsConfig(Arc::new(config)))
    }
}

pub struct Tls {
    connection: ServerConnection,
    /// To be said once everything before it is written.
    goodbye: Goodbye,
}

#[derive(PartialEq)]
enum Goodbye {
    No,
    Wanted,
    Said,
}

impl Tls {
    pub fn new(config: &TlsConfig) -> io::Result<Tls> {
        let mut connection = ServerConnection::new(config.0.clone()).map_err(invalid)?;
        // What waits is bounded by whoever writes.
        connection.set_buffer_limit(None);
        Ok(Tls {
            connection,
            goodbye: Goodbye::No,
        })
    }

    /// Something encrypted waits for the socket.
    pub fn pending(&self) -> bool {
        self.connection.wants_write()
    }

    /// Read plain bytes; 0 is the end. `WouldBlock`: the socket is empty.
    pub fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.connection.read_tls(socket)? == 0 {
                return Ok(0);
            }
            let processed = self.connection.process_new_packets();
            // The handshake's answers, or the alert that says what was wrong.
            self.flush(socket)?;
            processed.map_err(invalid)?;
        }
    }

    /// Encrypt and write what the socket takes, not much more than `most`.
    pub fn write(
        &mut self,
        socket: &mut impl Write,
        output: &mut Output,
        most: usize,
    ) -> io::Result<Wrote> {
        let mut written = 0;
        loop {
            self.flush(socket)?;
            let rest = output.rest();
            if self.connection.wants_write() {
                break;
            }
            if rest.is_empty() {
                if self.goodbye != Goodbye::Wanted {
                    break;
                }
                self.goodbye = Goodbye::Said;
                self.connection.send_close_notify();
                continue;
            }
            if written >= most {
                return Ok(Wrote::Turn);
            }
            let piece = &rest[..rest.len().min(CHUNK)];
            let size = self.connection.writer().write(piece)?;
            output.went(size);
            written += size;
        }
        Ok(Wrote::All)
    }

    /// Say, after what is written next, that nothing more comes.
    pub fn goodbye(&mut self) {
        if self.goodbye == Goodbye::No {
            self.goodbye = Goodbye::Wanted;
        }
    }

    fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
