#!/usr/bin/env python3
"""Takes one defence after another out of a copy of the crate, and demands that the tests named for it fail.

    python3 tests/defences.py            all of them
    python3 tests/defences.py totp url   those whose name holds one of the words

A defence that can be taken out without a test noticing, a text that no longer stands in the source, and a copy that
does not build are each an error. Not part of the usual run: each defence is a build of its own.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPY = TARGET / "defences"
# Without its defence a test may compute for days.
ENDLESS = """
[profile.default]
slow-timeout = { period = "60s", terminate-after = 2 }
"""


@dataclass(frozen=True)
class Defence:
    name: str
    """What it stops, as in docs/threat-model.md."""
    threat: str
    file: str
    """Stands there once."""
    there: str
    instead: str
    """Targets of the test run: files of tests/, or `lib`."""
    tests: str


DEFENCES = [
    Defence(
        "state-after-the-hash",
        "a revoke during the slow hash is missed",
        "src/service/verify.rs",
        "            live = self.read_and_judge(parsed, at).await?;\n            if live.still_holds(&proven) {",
        "            if live.still_holds(&proven) {",
        "service_proofs conformance_store",
    ),
    Defence(
        "same-digest-after-the-hash",
        "a rotation during the slow hash is missed",
        "src/service/fresh.rs",
        "known.generation == proven.generation && known.digest == proven.digest",
        "known.generation == proven.generation || known.digest == proven.digest || !proven.digest.as_str().is_empty()",
        "service_proofs service_upgrades",
    ),
    Defence(
        "revoked-is-refused",
        "unauthorised access with a revoked key",
        "src/service/fresh.rs",
        "            KeyStatus::Revoked => Rejection::Revoked,\n            KeyStatus::Disabled",
        "            KeyStatus::Revoked => return suspected.keep_live(now).map(Live).map_err(|it| (Rejection::Revoked, it.record)),\n"
        "            KeyStatus::Disabled",
        "service_verify service_life_cycle",
    ),
    Defence(
        "cheap-check-first",
        "wrong secrets for known ids fill the hash threads",
        "src/service/fresh.rs",
        "            *hint == presented.hint_tail()",
        "            *hint == presented.hint_tail() || true",
        "service_verify",
    ),
    Defence(
        "imported-are-never-remembered",
        "a guessable secret gets a fast proof",
        "src/service/prove.rs",
        "!self.inner.settings.strict && credential.origin == SecretOrigin::Generated",
        "!self.inner.settings.strict",
        "service_proofs service_upgrades service_verify",
    ),
    Defence(
        "checksum",
        "mistyped keys reach the store",
        "src/key/parse.rs",
        "    if checksum::of(covered) != *sum {",
        "    if checksum::of(covered) != *sum && covered.is_empty() {",
        "key_vectors key_properties",
    ),
    Defence(
        "tag",
        "invented keys reach the store",
        "src/key/parse.rs",
        "ring.check(text, *tag).ok_or(KeyParseError::Tag)",
        "Ok(ring.check(text, *tag).unwrap_or(TagStatus::Current))",
        "key_vectors key_properties",
    ),
    Defence(
        "failures-are-charged",
        "stuffing: an address tries one key after another",
        "src/service/verify.rs",
        "            gate.charge(context.client(), guessed, now);",
        "            let _ = (gate, guessed);",
        "service_verify",
    ),
    Defence(
        "one-budget-for-a-network",
        "limits are bypassed with the addresses of one /64",
        "src/rate_limit/subject.rs",
        "        Self::new(32, 64)",
        "        Self { v4_bits: 32, v6_bits: 64 - 1 }",
        "rate_limit_vectors service_verify lib",
    ),
    Defence(
        "ceiling-of-the-acting-key",
        "a key issues a key that may more than it may itself",
        "src/service/actor.rs",
        "            .map_err(LifecycleError::BeyondActor)?;\n        let exceeds",
        "            .map_err(LifecycleError::BeyondActor).or(Ok::<(), LifecycleError>(()))?;\n        let exceeds",
        "service_ceiling",
    ),
    Defence(
        "not-its-own-update",
        "a key widens or extends itself",
        "src/service/actor.rs",
        "            Some(own) if own.id() == record.id => Err(",
        "            Some(own) if own.id() == record.id && record.name.is_empty() => Err(",
        "service_ceiling",
    ),
    Defence(
        "outgoing-secret-does-not-rotate",
        "whoever holds the outgoing secret takes the key over",
        "src/service/actor.rs",
        "own.generation() != record.current.generation => {",
        "own.generation() > record.current.generation => {",
        "service_ceiling service_rotation",
    ),
    Defence(
        "other-tenants-do-not-exist",
        "tenant crossing by key id",
        "src/service/actor.rs",
        "            View::Tenant(tenant) => record.tenant.tenant() == Some(tenant),",
        "            View::Tenant(_) => true,",
        "service_ceiling",
    ),
    Defence(
        "tenant-of-the-target",
        "tenant crossing by a handler's target",
        "src/access/evaluate.rs",
        "        TenantBinding::Tenant(_) => Err(DenyReason::TenantMismatch),",
        "        TenantBinding::Tenant(_) => Ok(()),",
        "access_table access_laws",
    ),
    Defence(
        "missing-tenant",
        "a missing tenant equals a missing tenant",
        "src/access/evaluate.rs",
        "        Target::Unknown => return Err(DenyReason::TenantMissing),",
        "        Target::Unknown => return Ok(()),",
        "access_table access_laws",
    ),
    Defence(
        "denied-beats-granted",
        "a denial that cannot be read grants",
        "src/access/evaluate.rs",
        "    if denied.iter().all(Scope::is_well_formed) {",
        "    if denied.iter().all(Scope::is_well_formed) || true {",
        "access_laws access_table access_model",
    ),
    Defence(
        "admin-keys-need-a-factor",
        "admin key exposure: a stolen session makes an admin key",
        "src/service/rules/policy.rs",
        "            second_factor: own.second_factor || self.administrative.second_factor,",
        "            second_factor: own.second_factor,",
        "service_issuing_rules service_second_factor",
    ),
    Defence(
        "admin-keys-need-a-justification",
        "insiders: nobody says why",
        "src/service/rules/policy.rs",
        "            justification: own.justification || self.administrative.justification,",
        "            justification: own.justification,",
        "service_issuing_rules",
    ),
    Defence(
        "acting-key-is-read-again",
        "an admin key that was just revoked leaves a new key behind",
        "src/service/admit.rs",
        "        if record.status(now) != KeyStatus::Active || !is_live {",
        "        if used.is_none() || (is_live && record.id != own.id()) {",
        "service_ceiling hostile",
    ),
    Defence(
        "totp-once",
        "a code is used twice",
        "src/second_factor/totp/judge.rs",
        "            Some(step) if step >= self.unspent => Verdict::Accepted(",
        "            Some(step) if step >= self.unspent || step > 0 => Verdict::Accepted(",
        "second_factor_codes second_factor_races",
    ),
    Defence(
        "totp-answer-after-the-write",
        "a code is used twice at the same moment",
        "src/second_factor/totp/mod.rs",
        "                Err(FactorError::Contended) => {}\n",
        "                Err(FactorError::Contended) => {\n"
        "                    return outcome.map(|method| Spent { method, state: next, revision: stored.revision() });\n"
        "                }\n",
        "second_factor_races",
    ),
    Defence(
        "totp-guesses-are-counted",
        "codes are guessed",
        "src/second_factor/totp/judge.rs",
        "        if !retry_after.is_zero() {",
        "        if retry_after > std::time::Duration::MAX - retry_after {",
        "second_factor_codes",
    ),
    Defence(
        "certificate",
        "key theft: used without its owner's certificate",
        "src/service/verify.rs",
        "            (Some(_), None) => Err(Refused::of(Rejection::CertificateMissing, record)),",
        "            (Some(_), None) => Ok(()),",
        "http_certificates service_verify https_certificates",
    ),
    Defence(
        "client-cert-from-strangers",
        "a certificate is claimed in a header",
        "src/http/address/trust.rs",
        "            (ClientCert::Believed, false) if certificate::is_told(headers) => {\n                Err(ClientCertError::Untrusted)\n            }",
        "            (ClientCert::Believed, false) if certificate::is_told(headers) => certificate::told(headers),",
        "http_certificates",
    ),
    Defence(
        "networks-of-the-key",
        "key theft: used from elsewhere",
        "src/service/verify.rs",
        "        if record.networks.as_ref().is_some_and(refuses) {",
        "        if record.networks.as_ref().is_some_and(|it| refuses(it) && client.is_none()) {",
        "network_table service_verify",
    ),
    Defence(
        "networks-of-the-role",
        "key theft: an admin key used from elsewhere",
        "src/service/verify.rs",
        "        if of_role.is_some_and(refuses) {",
        "        if of_role.is_some_and(|it| refuses(it) && client.is_none()) {",
        "role_networks",
    ),
    Defence(
        "forwarded-from-strangers",
        "the address is forged",
        "src/http/address/trust.rs",
        "        if !proxies.contains(peer) {\n            return direct;",
        "        if !proxies.contains(peer) && headers.is_empty() {\n            return direct;",
        "http_proxies",
    ),
    Defence(
        "no-plain-http",
        "sniffing: a request in clear is served",
        "src/http/https/mod.rs",
        "            if !is_encrypted && !settings.serves_in_clear(&address, &parts.headers) {",
        "            if !is_encrypted && !settings.serves_in_clear(&address, &parts.headers) && parts.uri.path().is_empty() {",
        "http_https",
    ),
    Defence(
        "url",
        "a key in a URL is accepted",
        "src/http/credential.rs",
        "    if let Some(key) = exposure::in_url(uri, format) {\n        return Presented::InUrl(key);",
        "    if let Some(key) = exposure::in_url(uri, format).filter(|_| keys.is_empty() && authorizations.is_empty() && headers.is_empty()) {\n        return Presented::InUrl(key);",
        "http_credentials",
    ),
    Defence(
        "one-credential",
        "another header skips the check",
        "src/http/credential.rs",
        "            ([key], Some(bearer)) if key.as_bytes() == bearer.as_bytes() => Presented::One(bearer),",
        "            ([_], Some(bearer)) => Presented::One(bearer),",
        "http_credentials",
    ),
    Defence(
        "id-in-the-digest",
        "database breach: a digest is copied into another row",
        "src/hash/pepper/mod.rs",
        "self.slow_input.over([key_id.as_bytes(), secret])",
        "self.slow_input.over([key_id.as_bytes().get(..0).unwrap_or_default(), secret])",
        "hash_peppers service_verify lib",
    ),
    Defence(
        "bounded-stored-cost",
        "denial of service by a stored hash",
        "src/hash/bcrypt.rs",
        "        self.accepts(text)?;\n        if !suitable(input.secret()) {\n            return Ok(false);",
        "        if !suitable(input.secret()) {\n            return Ok(false);",
        "hash_schemes service_verify lib",
    ),
    Defence(
        "debug-of-a-secret",
        "keys in logs",
        "src/key/secret.rs",
        '        f.write_str("SecretKey([redacted])")',
        '        write!(f, "SecretKey({})", self.expose())',
        "secrets_stay_secret key_secrecy",
    ),
    Defence(
        "audit-before-the-change",
        "insiders: a change that nobody can see",
        "src/service/change.rs",
        "            *trail = self.announce(change, told).await?;",
        "            drop(self.announce(change, told).await);",
        "failure_modes",
    ),
    Defence(
        "audit-chain",
        "insiders: a line is changed or removed",
        "src/audit/json_lines/verify/mod.rs",
        "                Some(prev) if prev == self.last_hash => true,",
        "                Some(_) if self.lines > 0 => true,\n                Some(prev) if prev == self.last_hash => true,",
        "audit_chain",
    ),
    Defence(
        "audit-of-the-own-tenant",
        "exfiltration: a tenant reads another one's trail",
        "src/service/audit_log.rs",
        "            View::Tenant(own) => of_tenant(own, query),",
        "            View::Tenant(_) => Some(query),",
        "service_audit_log",
    ),
    Defence(
        "enforced-age",
        "a secret that leaked long ago still works",
        "src/service/rotation/enforce.rs",
        "            Some(since) if since <= now => Err(Rejection::RotationOverdue { since }),",
        "            Some(since) if since <= now && since == Timestamp::MIN => Err(Rejection::RotationOverdue { since }),",
        "service_rotation_age http_rotation",
    ),
    Defence(
        "an-overdue-secret-is-not-revived",
        "a rotation brings a secret back that was too old",
        "src/service/rotation/age.rs",
        "        if end <= record.current.created_at {\n            return end;\n        }",
        "",
        "service_rotation_age",
    ),
    Defence(
        "old-secret-ends-at-the-first-use",
        "the old secret outlives the first use of the new one",
        "src/service/retire.rs",
        "                    previous.end = CredentialEnd::ENDED;",
        "                    previous.created_at = previous.created_at.min(now);",
        "service_races service_rotation",
    ),
    Defence(
        "first-uses-wait-for-each-other",
        "a second use of the new secret returns while the old one lives",
        "src/service/retire.rs",
        "        if self.has_failed(id) {\n            return None;\n        }",
        "        if self.has_failed(id) || self.alone.try_lock().is_err() {\n            return None;\n        }",
        "service_races service_rotation",
    ),
    Defence(
        "exposed-secrets-end",
        "an exposed secret works on",
        "src/service/leak/consequence.rs",
        "            End::After(wait) => shortened(seen.end, now.saturating_add(wait), record.expires_at),",
        "            End::After(_) => seen.end,",
        "service_exposure http_https",
    ),
    Defence(
        "the-earliest-end-wins",
        "an exposed secret is kept alive by another exposure",
        "src/service/leak/consequence.rs",
        "        CredentialEnd::At(known) => CredentialEnd::At(known.min(at)),",
        "        CredentialEnd::At(_) => CredentialEnd::At(at),",
        "service_exposure",
    ),
    Defence(
        "exposure-needs-the-secret",
        "somebody else's key is ended by sending its id in a URL",
        "src/service/leak/proof.rs",
        "            Err(VerifyError::Rejected(Rejection::WrongSecret)) => Sighting::WrongSecret,",
        "            Err(VerifyError::Rejected(Rejection::WrongSecret)) => Sighting::Live(Generation::FIRST),",
        "service_exposure service_leaks",
    ),
    Defence(
        "revoke-many-goes-again",
        "a key that is issued meanwhile slips through an emergency",
        "src/service/revoke_many/run.rs",
        "                done.settled = ended == 0;",
        "                done.settled = true;",
        "service_revoke_many",
    ),
    Defence(
        "acting-key-ends-last",
        "a key ends itself first and leaves the others alive",
        "src/service/revoke_many/run.rs",
        "            .filter(|_| done.settled && done.failures == 0)",
        "            .filter(|_| done.settled)",
        "service_revoke_many",
    ),
    Defence(
        "own-environment",
        "a test key manages live keys",
        "src/service/actor.rs",
        "            .is_some_and(|own| own != record.environment)",
        "            .is_some_and(|own| own != record.environment && record.name.is_empty())",
        "service_environments",
    ),
    Defence(
        "kinds-agree",
        "a publishable key is turned into a secret one",
        "src/service/fresh.rs",
        "        if presented.kind() != self.0.record().kind {",
        "        if presented.kind() != self.0.record().kind && presented.whole().is_empty() {",
        "service_publishable",
    ),
    Defence(
        "published-at-every-check",
        "a role that grows widens the keys in every browser",
        "src/access/evaluate.rs",
        "            .is_some_and(|list| !any_covers(list, permission))",
        "            .is_some_and(|list| list.is_empty() && !any_covers(list, permission))",
        "access_laws access_model service_publishable",
    ),
    Defence(
        "publishable-keys-do-not-act",
        "whoever reads a page makes keys",
        "src/service/admit.rs",
        "        if record.kind == KeyKind::Publishable {",
        "        if record.kind == KeyKind::Publishable && record.name.is_empty() {",
        "service_publishable",
    ),
    Defence(
        "edited-rows-are-refused",
        "database breach: a row is edited",
        "src/service/records/basis.rs",
        "                Ok(false) => Err(Unsound::Tampered),",
        "                Ok(false) => Ok(()),",
        "service_row_binding row_binding_stores",
    ),
    Defence(
        "bindings-are-required",
        "database breach: a binding is taken away",
        "src/service/records/basis.rs",
        "            (None, RowBindingMode::Required) => Err(Unsound::Unbound),",
        "            (None, RowBindingMode::Required) => Ok(()),",
        "service_row_binding row_binding_stores",
    ),
    Defence(
        "edited-rows-are-not-bound-anew",
        "an operation signs what somebody else has written",
        "src/service/records/write.rs",
        "        if basis.standing() == Standing::Broken {",
        "        if basis.standing() == Standing::Broken && next.name.is_empty() {",
        "service_row_binding row_binding_stores lib",
    ),
]


def copy_of_the_crate():
    if COPY.exists():
        shutil.rmtree(COPY)
    skip = shutil.ignore_patterns("target", ".git")
    shutil.copytree(ROOT, COPY, ignore=skip)
    # Under another version, or cargo takes what was built of the copy for the crate itself.
    for name in ("Cargo.toml", "Cargo.lock"):
        path = COPY / name
        text, changed = re.subn(r'(name = "keyward"\nversion = ")[^"]+', r"\g<1>0.0.0-defences", path.read_text())
        if changed != 1:
            sys.exit(f"{name} has no version of the crate behind its name")
        path.write_text(text)


def without(defence):
    """Takes the defence out, and returns how to put it back."""
    path = COPY / defence.file
    text = path.read_text()
    if text.count(defence.there) != 1:
        sys.exit(f"{defence.name}: {defence.file} holds the text {text.count(defence.there)} times, not once")
    path.write_text(text.replace(defence.there, defence.instead))
    return lambda: path.write_text(text)


def run(targets):
    select = []
    for target in targets.split():
        select += ["--lib"] if target == "lib" else ["--test", target]
    limits = f"keyward-defences:{TARGET / 'defences.toml'}"
    command = ["cargo", "nextest", "run", "--all-features", "--no-fail-fast", "--tool-config-file", limits, *select]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "RUST_BACKTRACE": "0"}
    return subprocess.run(
        command, cwd=COPY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def failed_tests(output):
    names = re.findall(r"^\s+(?:FAIL|TIMEOUT|SIG\w+) \[.*?\] .*? keyward(?:::(\S+))? (\S+)$", output, re.MULTILINE)
    return sorted({f"{binary or 'lib'}: {test}" for binary, test in names})


def judge(defence):
    began = time.monotonic()
    put_back = without(defence)
    try:
        done = run(defence.tests)
    finally:
        put_back()
    took = f"{time.monotonic() - began:.0f} s"
    failed = failed_tests(done.stdout)
    # nextest: 100 is failed tests, 101 a failed build.
    if done.returncode == 100 and failed:
        print(f"noticed  {defence.name} ({took}): {len(failed)} fail, {failed[0]}", flush=True)
        return True
    print(f"UNSEEN   {defence.name} ({took}): exit {done.returncode}\n{done.stdout[-3000:]}", flush=True)
    return False


def main():
    words = sys.argv[1:]
    chosen = [it for it in DEFENCES if not words or any(word in it.name for word in words)]
    if not chosen:
        sys.exit("no defence has such a name")
    copy_of_the_crate()
    (TARGET / "defences.toml").write_text(ENDLESS)
    for defence in chosen:
        without(defence)()
    noticed = [judge(defence) for defence in chosen]
    print(f"{sum(noticed)} of {len(noticed)} defences are missed when they are gone")
    sys.exit(0 if all(noticed) else 1)


if __name__ == "__main__":
    main()
