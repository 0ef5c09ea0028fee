//! The component that serves the local domain.

use super::*;

/// Reads the error answers that the component gets.
pub(super) async fn read_answers(
    mut component: ReadHalf<DuplexStream>,
    mut read: BytesMut,
    answered: mpsc::Sender<Seen>,
) {
    loop {
        while let Some(answer) = take_until(&mut read, "</error></") {
            assert_eq!(attribute(&answer, "type"), "error", "{answer}");
            let remote = attribute(&answer, "from").replace("b@", "");
            answered
                .send(Seen { remote, id: number(&answer), at: clock::now(), stanza: answer })
                .await
                .unwrap();
        }
        if !matches!(component.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
    }
}

/// The position of a text.
pub(super) fn place_of(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

/// Takes the next stanza if it is complete. Its last end tag follows `end`.
pub(super) fn take_until(bytes: &mut BytesMut, end: &str) -> Option<String> {
    let name = place_of(bytes, end)? + end.len();
    let rest = bytes[name..].iter().position(|byte| *byte == b'>')?;
    Some(String::from_utf8(bytes.split_to(name + rest + 1).to_vec()).unwrap())
}

/// The number in the body of a stanza.
pub(super) fn number(stanza: &str) -> usize {
    let text = stanza.split("<n>").nth(1).and_then(|rest| rest.split("</n>").next());
    text.unwrap_or_else(|| panic!("{stanza}")).parse().unwrap()
}

/// The value of an attribute.
pub(super) fn attribute(stanza: &str, name: &str) -> String {
    let rest = stanza.split(&format!(" {name}=")).nth(1).unwrap();
    rest.split(rest.chars().next().unwrap()).nth(1).unwrap().to_owned()
}

/// Logs the component in, and returns the bytes that were read after the answer.
pub(super) async fn log_in(component: &mut DuplexStream) -> BytesMut {
    log_in_as(component, OURS).await
}

/// The same under another name.
pub(super) async fn log_in_as(component: &mut DuplexStream, name: &str) -> BytesMut {
    let mut read = shows_secret(component, name).await;
    reads_until(component, &mut read, "<handshake").await;
    read
}

/// Shows the secret, and does not wait for the answer. Returns the bytes that were read.
pub(super) async fn shows_secret(component: &mut DuplexStream, name: &str) -> BytesMut {
    let header = format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{name}'>"
    );
    component.write_all(header.as_bytes()).await.unwrap();
    let mut read = BytesMut::new();
    let answer =
        reads_until(component, &mut read, " id='").await + &reads_until(component, &mut read, "'").await;
    let id = answer.split("id='").nth(1).unwrap().trim_end_matches('\'');
    let digest = openssl::sha::sha1(format!("{id}{}", fixture::SECRET).as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    component.write_all(format!("<handshake>{digest}</handshake>").as_bytes()).await.unwrap();
    read
}

async fn reads_until(component: &mut DuplexStream, read: &mut BytesMut, end: &str) -> String {
    loop {
        if let Some(place) = place_of(read, end) {
            return String::from_utf8(read.split_to(place + end.len()).to_vec()).unwrap();
        }
        assert!(component.read_buf(read).await.unwrap() > 0, "the node closed the connection");
    }
}
