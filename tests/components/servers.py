"""The servers around the components: certificates, DNS, Prosody, ejabberd, an IRC server, and the node itself."""

import asyncio
import glob
import json
import os
import re
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time

# Seconds until something that works must have happened, on a busy machine.
SOON = 120

# mu-conference 0.8 makes a wrong handshake if the stream id (32 digits) and the secret have more than 52 characters.
SECRET = "components-secret"
NODE = "nuncio.example"
PROSODY = "prosody.example"
EJABBERD = "ejabberd.example"
IRC_PORT = 6667


class Failure(Exception):
    """A claim that does not hold; the text says which."""


class Process:
    """A process with a log file. It ends with this object's stop, and with the driver."""

    def __init__(self, name, directory, arguments, environment=None):
        os.makedirs(directory, exist_ok=True)
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")
        # A process that is started again appends.
        self.begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *arguments],
                cwd=directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self):
        """What it has logged since it was started."""
        with open(self.log, "rb") as log:
            log.seek(self.begin)
            return log.read().decode("utf-8", "replace")

    def send(self, number):
        """Sends a signal to the process and its children."""
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            pass

    def has_ended(self):
        """Whether it has ended by itself."""
        return self.child.poll() is not None

    def stop(self, number=signal.SIGTERM, limit=20):
        """Ends the process, if necessary by force."""
        self.send(number)
        self.send(signal.SIGCONT)
        try:
            self.child.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        self.send(signal.SIGKILL)
        self.child.wait()

    async def logs(self, pattern, count=1, limit=SOON):
        """Waits until `count` lines match."""
        await until(
            lambda: len(re.findall(pattern, self.text(), re.MULTILINE)) >= count,
            f"{self.name} logs {pattern!r}",
            limit,
            lambda: self.has_ended(),
        )


async def until(holds, claim, limit=SOON, is_hopeless=None):
    """Waits until `holds` returns something, and returns that."""
    deadline = time.monotonic() + limit
    while True:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if is_hopeless and is_hopeless():
            raise Failure(f"the process ended before: {claim}")
        if time.monotonic() > deadline:
            raise Failure(f"not within {limit} s: {claim}")
        await asyncio.sleep(0.1)


class Addresses:
    """A block of loopback addresses, claimed as the other tests do: the claim ends with the process."""

    def __init__(self):
        for second in range(254, 0, -1):
            claim = socket.socket()
            try:
                claim.bind((f"127.{second}.255.254", 26900))
                claim.listen()
            except OSError:
                claim.close()
                continue
            self.claim = claim
            self.block = f"127.{second}.0."
            return
        raise SystemExit("no free block of loopback addresses")

    def of(self, number):
        """The address with this number."""
        return self.block + str(number)


class Names(socketserver.BaseRequestHandler):
    """Answers DNS questions for the domains of the test, and for names that are addresses."""

    zones = {}

    def handle(self):
        question, answer_to = self.request
        reply = self.answer(question)
        if reply:
            answer_to.sendto(reply, self.client_address)

    def answer(self, packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace"))
            at += 1 + packet[at]
        kind = struct.unpack("!H", packet[at + 1 : at + 3])[0]
        asked = packet[12 : at + 5]
        name = ".".join(labels).lower()
        address, records = self.address(name.split("._tcp.")[-1]), []
        if address and kind == 1 and not name.startswith("_"):
            records.append(socket.inet_aton(address))
        if address and kind == 33 and name.startswith("_xmpp-server._tcp."):
            # ejabberd resolves targets with libc, which asks another name server: the target is an address.
            target = b"".join(bytes([len(part)]) + part.encode() for part in address.split(".")) + b"\0"
            records.append(struct.pack("!HHH", 0, 0, 5269) + target)
        header = packet[:2] + struct.pack("!HHHHH", 0x8580 | (0 if address else 3), 1, len(records), 0, 0)
        body = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in records
        )
        return header + asked + body

    def address(self, name):
        if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", name):
            return name
        for zone, address in self.zones.items():
            if name == zone or name.endswith("." + zone):
                return address
        return None


def serve_names(address, zones):
    """Starts the name server in a thread."""
    Names.zones = zones
    server = socketserver.ThreadingUDPServer((address, 5353), Names)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def openssl(directory, *arguments):
    """Runs openssl."""
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def certify(directory, names):
    """Makes an authority `ca.crt`, and NAME.crt, NAME.key and NAME.pem for the lists of names."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(directory, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30",
            "-subj", "/CN=authority of the components' tests")  # fmt: skip
    for name, sans in names.items():
        openssl(directory, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        with open(os.path.join(directory, f"{name}.ext"), "w", encoding="utf-8") as extensions:
            extensions.write("subjectAltName=" + ",".join(f"DNS:{san}" for san in sans) + "\n")
            extensions.write("extendedKeyUsage=serverAuth,clientAuth\n")
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "20", "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip
        with open(os.path.join(directory, f"{name}.pem"), "w", encoding="utf-8") as both:
            for ending in ("crt", "key"):
                with open(os.path.join(directory, f"{name}.{ending}"), encoding="utf-8") as part:
                    both.write(part.read())


def start_prosody(directory, address, resolver, certificates):
    """Starts Prosody with accounts that clients can register."""
    os.makedirs(os.path.join(directory, "data"))
    with open(os.path.join(directory, "prosody.cfg.lua"), "w", encoding="utf-8") as file:
        file.write(f"""run_as_root = true
data_path = "data"
log = {{ {{ levels = {{ min = "info" }}; to = "console"; timestamps = true }} }}
interfaces = {{ "{address}" }}
c2s_ports = {{ 5222 }}
s2s_ports = {{ 5269 }}
s2s_direct_tls_ports = {{ }}
c2s_direct_tls_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
unbound = {{
  resolvconf = false; hoststxt = false; forward = "{resolver}@5353";
  options = {{ ["do-not-query-localhost:"] = "no" }};
}}
modules_enabled = {{ "roster"; "disco"; "dialback"; "tls"; "saslauth"; "ping"; "register" }}
modules_disabled = {{ "limits"; "offline" }}
allow_registration = true
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = false
ssl = {{ certificate = "{certificates}/{PROSODY}.crt"; key = "{certificates}/{PROSODY}.key"; cafile = "{certificates}/ca.crt" }}
VirtualHost "{PROSODY}"
""")
    return Process("prosody", directory, ["prosody", "--config", f"{directory}/prosody.cfg.lua", "--foreground"])


def start_ejabberd(directory, address, resolver, certificates):
    """Starts ejabberd with accounts that clients can register."""
    os.makedirs(os.path.join(directory, "spool"))
    with open(os.path.join(directory, "inetrc"), "w", encoding="utf-8") as file:
        file.write('{resolv_conf,""}.\n{nameserver,{%s},5353}.\n' % resolver.replace(".", ","))
    with open(os.path.join(directory, "ejabberd.yml"), "w", encoding="utf-8") as file:
        file.write(f"""hosts: ["{EJABBERD}"]
loglevel: info
log_rotate_size: infinity
ca_file: "{certificates}/ca.crt"
s2s_cafile: "{certificates}/ca.crt"
certfiles: ["{certificates}/{EJABBERD}.pem"]
s2s_use_starttls: required
registration_timeout: infinity
auth_method: internal
listen:
  - {{port: 5269, ip: "{address}", module: ejabberd_s2s_in}}
  - {{port: 5222, ip: "{address}", module: ejabberd_c2s, starttls_required: true}}
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_register: {{ip_access: all, access: all, password_strength: 0}}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
""")
    libraries = os.path.dirname(glob.glob("/usr/lib/*/ejabberd-*")[0])
    environment = {
        "ERL_LIBS": libraries,
        "ERL_INETRC": f"{directory}/inetrc",
        "ERL_CRASH_DUMP": "erl_crash.dump",
        "EJABBERD_CONFIG_PATH": "ejabberd.yml",
        "EJABBERD_LOG_PATH": "ejabberd.log",
        "HOME": directory,
    }
    arguments = ["erl", "+S", "1", "+sbwt", "none", "-noinput", "-mnesia", "dir", '"spool"', "-s", "ejabberd"]
    return Process("ejabberd", directory, arguments, environment)


def start_ngircd(directory, address):
    """Starts an IRC server."""
    os.makedirs(directory)
    with open(os.path.join(directory, "ngircd.conf"), "w", encoding="utf-8") as file:
        file.write(
            f"[Global]\nName = irc.test.net\nInfo = test\nListen = {address}\nPorts = {IRC_PORT}\n"
            "[Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\nPingTimeout = 600\n"
            "[Options]\nDNS = no\nIdent = no\nPAM = no\n"
        )
    return Process("ngircd", directory, ["ngircd", "-n", "-f", "ngircd.conf"])


class Node:
    """The node. Each row of the table has one of its own, at the same address."""

    def __init__(self, binary, directory, address, resolver, certificates):
        self.binary, self.directory, self.address = binary, directory, address
        self.resolver, self.certificates = resolver, certificates
        self.file = os.path.join(directory, "nuncio.toml")
        self.process = None
        os.makedirs(directory)

    def configure(self, components, listen=""):
        """Writes the configuration. `components` has a dictionary of TOML values for each component."""
        text = f"""log_mailboxes = "0s"
workers = 2
[listen]
s2s = ["{self.address}:5269"]
control = "nuncio.sock"
{listen or f'component = ["{self.address}:5347"]'}
[s2s]
trust = "{self.certificates}/ca.crt"
[dns]
nameservers = ["{self.resolver}:5353"]
[absence]
message = "5m"
presence = "5m"
iq = "2m"
[[domain]]
name = "{NODE}"
certificate = "{self.certificates}/{NODE}.crt"
key = "{self.certificates}/{NODE}.key"
"""
        for component in components:
            text += "[[component]]\n" + "".join(f"{key} = {value}\n" for key, value in component.items())
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)

    def lacks(self):
        """The key of the configuration that this binary does not know; None if it knows all."""
        arguments = [self.binary, "check", "--offline", "--startable", "--config", self.file]
        checked = subprocess.run(arguments, capture_output=True, text=True, check=False)
        unknown = re.search(r"error: (\S+): unknown key", checked.stdout)
        if unknown:
            return unknown.group(1)
        # A value that an older binary does not know.
        foreign = re.search(r'error: (\S+): "(unix:|\*)', checked.stdout)
        if foreign:
            return f"{foreign.group(1)} = \"{foreign.group(2)}…\""
        if checked.returncode:
            raise Failure(f"nuncio check: {checked.stdout}")
        return None

    async def start(self):
        """Starts it and waits until it is ready."""
        arguments = [self.binary, "run", "--config", self.file]
        self.process = Process("nuncio", self.directory, arguments, {"RUST_LOG": "info"})
        await self.process.logs(r" ready ")

    def stop(self):
        """Stops it in order, and checks that no stanza is unaccounted for."""
        self.process.stop(limit=60)
        accounts = re.findall(r"account domain=\* .*?difference=(-?\d+)", self.process.text())
        if accounts and accounts[-1] != "0":
            raise Failure(f"the account of the node has difference={accounts[-1]}")

    async def restart(self):
        """Stops and starts it."""
        self.stop()
        await self.start()

    async def report(self, name):
        """What `nuncio components NAME --json` says; None if no node answers."""
        arguments = [self.binary, "components", name, "--json", "--config", self.file]
        quiet = asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE, stderr=quiet)
        document, _ = await child.communicate()
        return json.loads(document).get("components", [None])[0]

    async def sees(self, name, connected, limit=SOON):
        """Waits until the component is connected, or is not."""

        async def is_so():
            report = await self.report(name)
            return report is not None and report["connected"] == connected

        await until(is_so, f"{name} is {'connected' if connected else 'not connected'}", limit)
