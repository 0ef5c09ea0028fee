//! The policy table with Prosody and ejabberd as remotes, which accept everything, so that the node decides.

use super::table::{Case, Proof, Shown, Way};
use crate::support::{
    Auth, Certificate, Component, Ejabberd, Network, Node, Prosody, Purpose, Server, Setup, Tenant, Tls,
    eventually,
};

macro_rules! becomes_what_the_table_says {
    ($($software:ident, $shown:ident, $name:ident;)*) => {
        $(
            // rows: C9 D2 D18
            #[test]
            fn $name() {
                walk(Software::$software, Shown::$shown);
            }
        )*
    };
}

becomes_what_the_table_says! {
    Prosody, Good, prosody_with_a_good_certificate;
    Prosody, SelfSigned, prosody_with_a_self_signed_certificate;
    Prosody, Expired, prosody_with_an_expired_certificate;
    Prosody, NotYetValid, prosody_with_a_certificate_of_tomorrow;
    Prosody, UnknownAuthority, prosody_with_a_certificate_of_an_unknown_authority;
    Prosody, WrongName, prosody_with_a_certificate_for_another_name;
    Prosody, ServerOnly, prosody_with_a_certificate_for_servers_only;
    Prosody, Clear, prosody_without_tls;
    Ejabberd, Good, ejabberd_with_a_good_certificate;
    Ejabberd, SelfSigned, ejabberd_with_a_self_signed_certificate;
    Ejabberd, Expired, ejabberd_with_an_expired_certificate;
    Ejabberd, WrongName, ejabberd_with_a_certificate_for_another_name;
    Ejabberd, UnknownAuthority, ejabberd_with_a_certificate_of_an_unknown_authority;
}

/// The remote server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Software {
    Prosody,
    Ejabberd,
}

/// Tries all configurations for a server that shows `shown`: each is a component of it.
fn walk(software: Software, shown: Shown) {
    let met = |case: &Case| case.shown == shown && case.way == Way::StartTls;
    let cases: Vec<_> = Case::configurable().into_iter().filter(met).collect();
    let own;
    let (network, peer, ours): (&Network, Box<dyn Server>, String) = match software {
        // With a certificate for another name it is another configuration than that of the shared one.
        Software::Ejabberd if shown != Shown::WrongName => {
            let tenant = Tenant::with(&lenient(shown).certificate);
            let tenant = cases.iter().fold(tenant, |tenant, case| tenant.component(&case.label()));
            let ours = tenant.neighbour("nuncio");
            (tenant.network(), Box::new(tenant), ours)
        }
        _ => {
            own = if software == Software::Ejabberd { Network::for_ejabberd() } else { Network::new() };
            let domain = |case: &Case| format!("{}.peer.example", case.label());
            let setup = cases.iter().fold(lenient(shown), |setup, case| setup.component(&domain(case)));
            let peer: Box<dyn Server> = match software {
                Software::Prosody => Box::new(Prosody::start(&own, setup)),
                Software::Ejabberd => Box::new(Ejabberd::start(&own, setup)),
            };
            (&own, peer, "nuncio.example".to_owned())
        }
    };
    let domain = |case: &Case| format!("{}.{}", case.label(), peer.domain());
    let setup = Setup::of(&ours);
    let setup = cases.iter().fold(setup, |setup, case| setup.block(&case.block(&domain(case), "")));
    let node = Node::start(network, setup);
    let mut components: Vec<_> =
        cases.iter().map(|case| Component::connect(peer.address(), &domain(case))).collect();

    // The node connects for one of its domains, and accepts a connection for another.
    let (mut inbox, mut outbox) = (node.inbox(), node.outbox());
    for component in &mut components {
        inbox.sends_message(component.name(), component.name(), "");
        let id = component.name().to_owned();
        component.sends_message(outbox.name(), &id, "");
    }
    for (case, component) in cases.iter().zip(&mut components) {
        let name = component.name().to_owned();
        match case.best_of(&[Proof::External, Proof::Dialback]) {
            Some(proof) => {
                component.receives_id(&name);
                outbox.receives_id(&name);
                logs_authenticated(&node, inbox.name(), &name, proof);
                logs_authenticated(&node, outbox.name(), &name, proof);
            }
            None => {
                let answer = inbox.receives_id(&name);
                let text = answer.expect("error").expect("text").text();
                assert!(text.contains(case.blame()), "nothing of {:?} in {text:?}", case.blame());
                let answer = component.receives_id(&name);
                assert_eq!(answer.attribute("type"), "error", "{answer}");
            }
        }
    }
}

fn lenient(shown: Shown) -> Setup {
    let setup = Setup::of("peer.example").auth(Auth::Both).tls(Tls::Optional);
    match shown {
        Shown::Clear => setup.certificate(Certificate::Missing).tls(Tls::Disabled),
        Shown::SelfSigned => setup.certificate(Certificate::SelfSigned),
        Shown::Expired => setup.certificate(Certificate::Expired),
        Shown::NotYetValid => setup.certificate(Certificate::NotYetValid),
        Shown::UnknownAuthority => setup.certificate(Certificate::UnknownAuthority),
        Shown::WrongName => setup.certificate(Certificate::WrongName),
        Shown::ServerOnly => setup.certificate(Certificate::Common(Purpose::ServerOnly)),
        Shown::Missing | Shown::Good => setup,
    }
}

#[track_caller]
fn logs_authenticated(node: &Node, local: &str, remote: &str, proof: Proof) {
    let pair = format!("\"{local} > {remote}\"");
    let line = eventually(&pair, || {
        let lines = node.process().lines();
        lines.into_iter().find(|line| line.contains(&pair) && line.contains("authenticated"))
    });
    let how = format!("{proof:?}").to_lowercase();
    assert!(line.to_lowercase().contains(&how), "not by {how}: {line}");
}
