//! Where a request comes from, as far as a browser says: no other site shall change anything through the
//! browser of an administrator.

use crate::context::RequestView;

/// Tells whether a browser marks a request as one that another site has made. What is no browser marks
/// nothing.
pub fn is_from_elsewhere(request: &dyn RequestView) -> bool {
    if let Some(site) = request.header(c"Sec-Fetch-Site")
        && !is_one_of(site, &["same-origin", "none"])
    {
        return true;
    }
    let host = request.header(c"Host").unwrap_or(b"");
    [c"Origin", c"Referer"]
        .into_iter()
        .filter_map(|name| request.header(name))
        .any(|url| !url.is_empty() && !is_of_host(url, host))
}

fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// Tells whether a URL is one of this host; a `Host` header has the port, too, where it is unusual. The
/// scheme may differ: TLS often ends before httpd.
fn is_of_host(url: &[u8], host: &[u8]) -> bool {
    for (scheme, port) in [("http://", ":80"), ("https://", ":443")] {
        let (beginning, rest) = url.split_at(scheme.len().min(url.len()));
        if beginning.eq_ignore_ascii_case(scheme.as_bytes()) {
            let end = rest.iter().position(|octet| b"/?#".contains(octet));
            let authority = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
            let without =
                |text: &'_ [u8]| text.strip_suffix(port.as_bytes()).unwrap_or(text).to_vec();
            let (authority, host) = (without(authority), without(host));
            return !host.is_empty() && authority.eq_ignore_ascii_case(&host);
        }
    }
    false
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::testing::View;

    fn request(headers: &[(&str, &str)]) -> View {
        headers.iter().fold(View::default(), |view, (name, value)| view.and_header(name, value))
    }

    #[test]
    fn what_no_browser_marks_and_what_is_of_this_host_is_from_here() {
        for headers in [
            &[][..],
            &[("Host", "www.example.com")],
            &[("Host", "a:8080"), ("Origin", "http://a:8080"), ("Referer", "http://a:8080/qos?x")],
            &[("Host", "A"), ("Origin", "https://a"), ("Sec-Fetch-Site", "same-origin")],
            &[("Host", "a:443"), ("Origin", "HTTPS://a")],
            &[("Host", "a"), ("Referer", "http://a:80")],
            &[("Host", "[::1]:81"), ("Origin", "http://[::1]:81")],
            &[("Host", "a"), ("Sec-Fetch-Site", "none"), ("Referer", "")],
        ] {
            assert!(!is_from_elsewhere(&request(headers)), "{headers:?}");
        }
    }

    #[test]
    fn one_word_of_another_site_is_enough() {
        for headers in [
            &[("Host", "a"), ("Sec-Fetch-Site", "cross-site")][..],
            &[("Host", "a"), ("Sec-Fetch-Site", "same-site"), ("Origin", "http://a")],
            &[("Host", "a"), ("Sec-Fetch-Site", "")],
            &[("Host", "a"), ("Origin", "null")],
            &[("Host", "a"), ("Origin", "http://b")],
            &[("Host", "a"), ("Origin", "http://a:8080")],
            &[("Host", "a"), ("Origin", "http://a"), ("Referer", "http://evil/a")],
            &[("Host", "a"), ("Sec-Fetch-Site", "same-origin"), ("Origin", "https://b")],
            &[("Host", "a"), ("Referer", "http://a.evil/")],
            &[("Host", "a"), ("Referer", "http://a@evil/")],
            &[("Host", "a"), ("Referer", "about:blank")],
            &[("Host", "a"), ("Referer", "//a/")],
            &[("Host", "a"), ("Origin", "ftp://a")],
            &[("Host", ""), ("Origin", "http://")],
            &[("Origin", "http://a")],
        ] {
            assert!(is_from_elsewhere(&request(headers)), "{headers:?}");
        }
    }
}
