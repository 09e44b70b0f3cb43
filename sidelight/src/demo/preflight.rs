//! Everything that can be known to fail is found before anything starts.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use anyhow::anyhow;

/// # Errors
/// One sentence about every address that cannot be listened on.
pub fn check_addresses(addresses: &[SocketAddr]) -> anyhow::Result<()> {
    let mut busy = Vec::new();
    let mut other = Vec::new();
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AddrInUse => busy.push(address.to_string()),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                other.push(format!("{} is not an address of this machine (try --shared-address)", address.ip()));
            }
            Err(error) => other.push(format!("cannot listen on {address}: {error}")),
        }
    }
    if !busy.is_empty() {
        let verb = if busy.len() == 1 { "is" } else { "are" };
        other.insert(
            0,
            format!(
                "{} {verb} in use; end what listens there, or choose other ports with --port, --gateway-port or --offset",
                list(&busy)
            ),
        );
    }
    other.dedup();
    if other.is_empty() { Ok(()) } else { Err(anyhow!(other.join("; "))) }
}

/// The first few, and how many more.
fn list(addresses: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = addresses.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match addresses.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named() {
        let taken = TcpListener::bind("127.77.1.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = check_addresses(&[address, "127.77.1.1:0".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{address} is in use; ")), "{error}");
        drop(taken);
        assert!(check_addresses(&[address]).is_ok());
    }

    #[test]
    fn a_foreign_address_is_named() {
        let error = check_addresses(&["192.0.2.1:0".parse().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1 is not an address of this machine"), "{error}");
    }
}
