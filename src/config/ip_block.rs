//! Which peers the operator trusts: addresses and blocks of addresses.

use std::net::IpAddr;

/// An address or a block of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpBlock {
    network: IpAddr,
    prefix_bits: u8,
}

impl IpBlock {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is neither an IP address nor a block like 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| problem())?;
        let bits = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits,
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| problem())?,
            Some(_) => return Err(problem()),
        };
        if prefix_bits > bits {
            return Err(format!("{text:?} has a prefix of more than {bits} bits"));
        }
        Ok(Self { network, prefix_bits })
    }

    /// IPv4 addresses that arrive on an IPv6 socket (`::ffff:10.0.0.1`) count as the IPv4 addresses that they are.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix_bits);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix_bits);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IpBlock;

    fn check(block: &str, address: &str, expected: bool) {
        assert_eq!(IpBlock::parse(block).unwrap().contains(address.parse().unwrap()), expected, "{block} {address}");
    }

    #[test]
    fn a_block_contains_what_shares_its_prefix() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.1.2.3/8", "10.9.9.9", true);
        check("192.168.1.7", "192.168.1.7", true);
        check("192.168.1.7", "192.168.1.8", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/33", "2001:db8:7fff::1", true);
        check("2001:db8::/33", "2001:db8:8000::1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("::1", "::1", true);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "host", "10.0.0.0/8/8", " ::1"]
        {
            let problem = IpBlock::parse(text).unwrap_err();
            assert!(problem.contains(text), "{problem}");
        }
    }
}
