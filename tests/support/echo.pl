# A component of AnyEvent::XMPP that answers each message: perl echo.pl NAME SECRET ADDRESS PORT
use strict;
use warnings;
use utf8;
use AnyEvent;
use AnyEvent::XMPP::Component;

my ($name, $secret, $address, $port) = @ARGV;
$| = 1;
my $end = AnyEvent->condvar;
my $component =
    AnyEvent::XMPP::Component->new(domain => $name, secret => $secret, host => $address, port => $port);
$component->reg_cb(
    session_ready => sub { print "connected\n" },
    disconnect    => sub { print "disconnected: @_[1..$#_]\n"; $end->send },
    error         => sub { print "error: ", $_[1]->string, "\n" },
    message_xml   => sub {
        my ($component, $node) = @_;
        my ($body) = $node->find_all([ "component", "body" ]);
        return if ($node->attr("type") // "") eq "error" || !$body;
        my $text = "you said: " . $body->text;
        $component->send_message(
            $node->attr("from"), $node->attr("type") // "normal", undef,
            from => $node->attr("to"),
            body => $text,
        );
    },
);
$component->connect;
$end->recv;
