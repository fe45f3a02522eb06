//! IP addresses and CIDRs in specs: what is valid, what is not canonical, what is special.
//!
//! Invariant: texts are upstream's (apimachinery validation/ip.go). New values are held to the strict form (KEP-4858).

use kelson_machinery::field::{FieldError, Path};
use std::net::{IpAddr, Ipv6Addr};

const NOT_AN_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NOT_A_CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// The address in any spelling upstream ever took: IPv4 bytes may have leading zeros.
pub fn parse_sloppy(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let bytes: Option<Vec<u8>> = text.split('.').map(decimal_byte).collect();
    <[u8; 4]>::try_from(bytes?).ok().map(IpAddr::from)
}

fn decimal_byte(part: &str) -> Option<u8> {
    let digits = !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| part.parse().ok()).flatten()
}

/// A valid address in strict form.
pub fn validate(text: &str, path: &Path) -> Vec<FieldError> {
    let detail = match parse_sloppy(text) {
        None => NOT_AN_IP,
        Some(_) if has_leading_zero(text) => "must not have leading 0s",
        Some(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => "must not be an IPv4-mapped IPv6 address",
        Some(_) => return Vec::new(),
    };
    vec![FieldError::invalid(path, text, detail)]
}

/// As `validate`, but a value that is already stored stays legal in the old spelling.
pub fn validate_unless_stored(text: &str, stored: &[&str], path: &Path) -> Vec<FieldError> {
    if stored.contains(&text) && parse_sloppy(text).is_some() { Vec::new() } else { validate(text, path) }
}

fn has_leading_zero(text: &str) -> bool {
    !text.contains(':') && text.split('.').any(|part| part.len() > 1 && part.starts_with('0'))
}

/// A valid CIDR in strict form.
pub fn validate_cidr(text: &str, path: &Path) -> Vec<FieldError> {
    let Some((ip, bits)) = parse_cidr(text) else {
        return vec![FieldError::invalid(path, text, NOT_A_CIDR)];
    };
    let detail = if has_leading_zero(text.split('/').next().unwrap_or_default()) {
        "must not have leading 0s in IP".to_owned()
    } else if network(ip, bits) != ip {
        "must not have bits set beyond the prefix length".to_owned()
    } else {
        return Vec::new();
    };
    vec![FieldError::invalid(path, text, detail)]
}

/// Address and prefix length.
pub fn parse_cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address = parse_sloppy(address)?;
    let plain = !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits: u8 = plain.then(|| bits.parse().ok()).flatten()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

/// The address with the host bits cleared.
pub fn network(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::from((u32::from(ip) & mask).to_be_bytes())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::from((u128::from(ip) & mask).to_be_bytes())
        }
    }
}

/// Addresses nobody can reach an endpoint at (spec A3.20).
pub fn validate_not_special(text: &str, path: &Path) -> Vec<FieldError> {
    let Some(ip) = parse_sloppy(text) else {
        return vec![FieldError::invalid(path, text, NOT_AN_IP)];
    };
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    };
    let link_local_multicast = match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    let rules = [
        (ip.is_unspecified(), format!("may not be unspecified ({ip})")),
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()),
        (link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()),
        (
            link_local_multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned(),
        ),
    ];
    rules
        .into_iter()
        .filter(|(wrong, _)| *wrong)
        .map(|(_, detail)| FieldError::invalid(path, text, detail))
        .collect()
}

/// What upstream warns about an address that is not in canonical form (spec A4.7).
pub fn warnings(text: &str, path: &str) -> Option<String> {
    let ip = parse_sloppy(text)?;
    if has_leading_zero(text) {
        return Some(format!(
            "{path}: non-standard IP address \"{text}\" will be considered invalid in a future Kubernetes release: use \"{ip}\""
        ));
    }
    if let IpAddr::V6(v6) = ip {
        if let Some(v4) = v6.to_ipv4_mapped() {
            return Some(format!(
                "{path}: non-standard IP address \"{text}\" will be considered invalid in a future Kubernetes release: use \"{v4}\""
            ));
        }
        if ip.to_string() != text {
            return Some(format!(
                "{path}: IPv6 address \"{text}\" should be in RFC 5952 canonical format (\"{ip}\")"
            ));
        }
    }
    None
}

/// The same for a CIDR.
pub fn cidr_warnings(text: &str, path: &str) -> Option<String> {
    let (ip, bits) = parse_cidr(text)?;
    let base = network(ip, bits);
    if has_leading_zero(text.split('/').next().unwrap_or_default()) || base != ip {
        return Some(format!(
            "{path}: CIDR value \"{text}\" is ambiguous in this context (should be \"{base}/{bits}\" or \"{ip}/{}\"?)",
            if ip.is_ipv4() { 32 } else { 128 }
        ));
    }
    let canonical = format!("{base}/{bits}");
    (ip.is_ipv6() && canonical != text).then(|| {
        format!("{path}: IPv6 CIDR value \"{text}\" should be in RFC 5952 canonical format (\"{canonical}\")")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let path = Path::new("ip");
        let mut errors = validate(text, &path);
        if errors.is_empty() {
            errors = validate_not_special(text, &path);
        }
        let texts: Vec<String> = errors.iter().map(|error| error.detail.clone()).collect();
        assert_eq!(texts.join("; "), expected, "{text}");
    }

    #[test]
    fn a3_20_and_a3_36_addresses() {
        check("10.0.0.1", "");
        check("2001:db8::1", "");
        check("", NOT_AN_IP);
        check("10.0.0", NOT_AN_IP);
        check("10.0.0.256", NOT_AN_IP);
        check("10.0.0.01", "must not have leading 0s");
        check("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address");
        check("0.0.0.0", "may not be unspecified (0.0.0.0)");
        check("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        check("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
        check("224.0.0.9", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }

    #[test]
    fn cidrs() {
        let path = Path::new("cidr");
        assert_eq!(validate_cidr("10.0.0.0/8", &path), vec![]);
        assert_eq!(validate_cidr("0.0.0.0/0", &path), vec![]);
        assert_eq!(
            validate_cidr("10.0.0.1/8", &path)[0].detail,
            "must not have bits set beyond the prefix length"
        );
        assert_eq!(validate_cidr("10.0.0.0/33", &path)[0].detail, NOT_A_CIDR);
        assert_eq!(validate_cidr("10.0.0.0", &path)[0].detail, NOT_A_CIDR);
        assert_eq!(validate_cidr("fe80::/10", &path), vec![]);
    }
}
