"""The components under test: how each is started, and what a user does with it."""

import os
import shutil
import subprocess

from servers import NODE, SECRET, Failure, Process
from users import fail_if_error

HERE = os.path.dirname(os.path.abspath(__file__))


class Kind:
    """A component. `at` is the address and port to connect to."""

    title = ""
    # Whether it answers for every name that it is asked for, so that it can serve several.
    any_name = False
    # Whether it answers nothing once its handshake was answered late.
    is_mute_after_a_wait = False

    def __init__(self, directory, addresses):
        self.directory, self.addresses = directory, addresses
        self.name = f"{self.title.split()[0].strip('@').replace('/', '-').replace('::', '-').lower()}.{NODE}"

    def missing(self):
        """Why it cannot run here; None if it can."""
        return None

    def version(self):
        """Its version."""
        return ""

    def arguments(self, directory, name, secret, at):
        """The command line."""
        raise NotImplementedError

    def environment(self):
        """Further variables of its environment."""
        return {}

    def start(self, at, secret=SECRET, instance="a", name=None):
        """Starts a process of it. Processes with different `instance` share no files."""
        directory = os.path.join(self.directory, self.name, instance)
        os.makedirs(directory, exist_ok=True)
        arguments = self.arguments(directory, name or self.name, secret, at)
        return Process(f"component-{instance}", directory, arguments, self.environment())

    def begin(self, user, name):
        """A user asks something; returns what `finish` needs."""
        return user.says(f"somebody@{name}")

    async def finish(self, user, name, asked):
        """Waits for the answer."""
        await user.hears_echo(f"somebody@{name}", asked)

    async def converse(self, user, name=None):
        """A stanza each way."""
        name = name or self.name
        await self.finish(user, name, self.begin(user, name))


def debian_version(package):
    """The version of a Debian package."""
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False)
    return asked.stdout


def reason(directory, name):
    """The reason that tests/components/run has left."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class Slixmpp(Kind):
    """slixmpp of Debian."""

    title = "slixmpp Debian"
    any_name = True
    python = "/usr/bin/python3"

    def version(self):
        asked = [self.python, "-c", "import slixmpp; print(slixmpp.__version__)"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()

    def arguments(self, directory, name, secret, at):
        return [self.python, os.path.join(HERE, "echo.py"), name, secret, at[0], str(at[1])]


class NewSlixmpp(Slixmpp):
    """The newest slixmpp of PyPI."""

    title = "slixmpp-pypi"

    def __init__(self, directory, addresses):
        super().__init__(directory, addresses)
        self.python = os.path.join(directory, "venv/bin/python3")

    def missing(self):
        return reason(self.directory, "no-slixmpp")


class Npm(Kind):
    """@xmpp/component of npm."""

    title = "@xmpp/component"
    any_name = True

    def missing(self):
        return reason(self.directory, "no-npm")

    def version(self):
        package = os.path.join(self.directory, "npm/node_modules/@xmpp/component/package.json")
        asked = ["node", "-p", f"require({package!r}).version"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()

    def arguments(self, directory, name, secret, at):
        modules = os.path.join(self.directory, "npm")
        return ["node", os.path.join(HERE, "echo.js"), name, secret, at[0], str(at[1]), modules]


class AnyEvent(Kind):
    """AnyEvent::XMPP, a library for Perl."""

    title = "AnyEvent::XMPP"
    any_name = True

    def missing(self):
        there = os.path.exists("/usr/share/perl5/AnyEvent/XMPP/Component.pm")
        return None if there else "the package libanyevent-xmpp-perl is not installed"

    def version(self):
        return debian_version("libanyevent-xmpp-perl")

    def arguments(self, directory, name, secret, at):
        script = os.path.join(HERE, "../support/echo.pl")
        return ["/usr/bin/perl", script, name, secret, at[0], str(at[1])]


class Biboumi(Kind):
    """biboumi, a gateway to IRC."""

    title = "biboumi"

    def missing(self):
        there = shutil.which("biboumi") and shutil.which("ngircd")
        return None if there else "the package biboumi or ngircd is not installed"

    def version(self):
        return debian_version("biboumi")

    def arguments(self, directory, name, secret, at):
        with open(os.path.join(directory, "biboumi.cfg"), "w", encoding="utf-8") as file:
            file.write(
                f"hostname={name}\npassword={secret}\nxmpp_server_ip={at[0]}\nport={at[1]}\n"
                f"db_name={directory}/biboumi.sqlite\noutgoing_bind={self.addresses.of(4)}\nlog_level=1\n"
            )
        return ["biboumi", "biboumi.cfg"]

    def room(self, user, name):
        """A channel for each user, so that they do not wait for each other."""
        return f"#{user.boundjid.user}%{self.addresses.of(4)}@{name}"

    def begin(self, user, name):
        return user.enters(self.room(user, name))

    async def finish(self, user, name, asked):
        # It sometimes loses an entry that comes while its connection of this user to the IRC server closes.
        await user.meets(self.room(user, name), asked, tries=4)


class MuConference(Kind):
    """mu-conference, rooms (the package jabber-muc)."""

    title = "mu-conference"
    # Its thread that handles stanzas ends if the answer takes longer than a moment.
    is_mute_after_a_wait = True

    def missing(self):
        return None if shutil.which("mu-conference") else "the package jabber-muc is not installed"

    def version(self):
        return debian_version("jabber-muc")

    def arguments(self, directory, name, secret, at):
        for kind in ("rooms", "log", "room-logs"):
            os.makedirs(os.path.join(directory, kind), exist_ok=True)
        with open(os.path.join(directory, "muc.xml"), "w", encoding="utf-8") as file:
            file.write(
                f"<jcr><name>{name}</name><host>{name}</host><ip>{at[0]}</ip><port>{at[1]}</port>"
                f"<secret>{secret}</secret><spool>{directory}/rooms/</spool><logdir>{directory}/log/</logdir>"
                f"<pidfile>{directory}/muc.pid</pidfile><logstderr/><loglevel>124</loglevel>"
                "<conference xmlns='jabber:config:conference'><public/>"
                "<vCard><FN>Rooms</FN><DESC>Rooms</DESC><URL>http://localhost/</URL></vCard><history>40</history>"
                f"<logdir>{directory}/room-logs/</logdir><stylesheet>../style.css</stylesheet>"
                "<notice><join>has come</join><leave>has left</leave><rename>is now</rename></notice>"
                "<sadmin><user>admin@localhost</user></sadmin></conference></jcr>\n"
            )
        return ["mu-conference", "-c", "muc.xml"]

    def begin(self, user, name):
        return user.enters(f"{user.boundjid.user}@{name}")

    async def finish(self, user, name, asked):
        await user.meets(f"{user.boundjid.user}@{name}", asked)


class Slidge(Kind):
    """slidge, a framework for gateways, with a stub for the other network."""

    title = "slidge"

    def missing(self):
        return reason(self.directory, "no-slidge")

    def version(self):
        python = os.path.join(self.directory, "venv/bin/python3")
        asked = [python, "-c", "from importlib.metadata import version; print(version('slidge'))"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()

    def arguments(self, directory, name, secret, at):
        return [
            os.path.join(self.directory, "venv/bin/slidge"),
            "--legacy-module=stub_gateway", f"--jid={name}", f"--secret={secret}", f"--server={at[0]}", f"--port={at[1]}",
            f"--home-dir={directory}/home", "--user-jid-validator=.*", f"--upload-service=upload.{NODE}",
        ]  # fmt: skip

    def environment(self):
        return {"PYTHONPATH": HERE, "SLIDGE_CONF_DIR": os.path.join(self.directory, "none")}

    def begin(self, user, name):
        user.send_message(mto=name, mbody="help", mtype="chat")
        return len(user.received)

    async def finish(self, user, name, asked):
        def is_answer(stanza):
            return stanza.name == "message" and stanza["from"].bare == name and stanza["body"]

        answer = await user.receives(f"the list of commands of {name}", is_answer, asked)
        fail_if_error(answer)
        info = await user["xep_0030"].get_info(jid=name, timeout=60)
        if not any(identity[0] == "gateway" for identity in info["disco_info"]["identities"]):
            raise Failure(f"{name} is no gateway: {info}")


KINDS = [Biboumi, MuConference, Slidge, Slixmpp, NewSlixmpp, Npm, AnyEvent]
