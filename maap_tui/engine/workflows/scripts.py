"""Scripts: the same work for machines that run something else: curl on a data mover, Slurm, Kubernetes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.net.credentials import PUBLIC_CLIENT_ID, PUBLIC_CLIENT_SECRET
from maap_tui.engine.workflows.plan import planned_record

_CURL = r"""#!/bin/sh
# Fetches the files listed at the end with curl alone, into MAAP_DATA_DIR (default: this folder).
# Needs the offline token in MAAP_TOKEN. Files that are here whole are left; run it again until it ends
# with 0.
# Then, where maap is installed:  maap state import PLAN
set -u
data_dir=${MAAP_DATA_DIR:-.}
token_url=@TOKEN_URL@
client_id=${CLIENT_ID:-@CLIENT_ID@}
client_secret=${CLIENT_SECRET:-@CLIENT_SECRET@}
: "${MAAP_TOKEN:?the offline token is missing}"
umask 022
access='' until=0 failed=0

new_access_token() {
  [ "$(date +%s)" -lt "$until" ] && return 0
  # Secrets go through stdin: the words of a command can be read by every user of a machine.
  reply=$(printf 'data-urlencode = "%s=%s"\n' grant_type refresh_token client_id "$client_id" \
    client_secret "$client_secret" refresh_token "$MAAP_TOKEN" |
    curl --config - --silent --show-error --fail --retry 5 "$token_url") || return 1
  access=$(printf '%s' "$reply" | sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p')
  lives=$(printf '%s' "$reply" | sed -n 's/.*"expires_in" *: *\([0-9][0-9]*\).*/\1/p')
  [ -n "$access" ] || return 1
  until=$(($(date +%s) + ${lives:-300} / 2))
}

size_of() { [ -f "$1" ] && wc -c <"$1" | tr -d ' '; }

fetch() { # URL PATH SIZE, - for a size that is not known
  file=$data_dir/$2
  if [ -f "$file" ] && { [ "$3" = - ] || [ "$(size_of "$file")" = "$3" ]; }; then return 0; fi
  mkdir -p "$(dirname "$file")" || return 1
  if ! { [ "$3" != - ] && [ "$(size_of "$file.curl")" = "$3" ]; }; then
    new_access_token || { echo "no access token from $token_url" >&2; return 1; }
    printf 'header = "Authorization: Bearer %s"\n' "$access" |
      curl --config - --silent --show-error --fail --location --retry 5 --speed-limit 1000 --speed-time 60 \
        --continue-at - --output "$file.curl" "$1" || return 1
  fi
  if [ "$3" != - ] && [ "$(size_of "$file.curl")" != "$3" ]; then
    echo "$2 has not the $3 bytes announced" >&2
    rm -f "$file.curl"
    return 1
  fi
  mv "$file.curl" "$file"
}

while IFS='|' read -r url path size; do
  fetch "$url" "$path" "$size" </dev/null || { failed=$((failed + 1)); echo "failed: $path" >&2; }
done <<'END_OF_PLAN'
"""
_END = r"""END_OF_PLAN
[ "$failed" -eq 0 ] || { echo "$failed files are not here yet; run it again" >&2; exit 3; }
"""


def curl_script(requests: Iterable[DownloadRequest], token_url: str) -> Iterator[str]:
    """Lines of a POSIX shell script that fetches the files of a plan with curl; it holds no token.

    Args:
        requests: the files; the access token is sent to all of them, so that each has to be of the archive.
        token_url: the token service.
    """
    head = _CURL.replace("@TOKEN_URL@", shlex.quote(token_url))
    head = head.replace("@CLIENT_ID@", PUBLIC_CLIENT_ID).replace("@CLIENT_SECRET@", PUBLIC_CLIENT_SECRET)
    yield from head.splitlines()
    for request in requests:
        size = "-" if request.size is None else request.size
        yield f"{request.url}|{planned_record(request)['path']}|{size}"
    yield from _END.splitlines()


def sbatch_script(words: Sequence[str], name: str, jobs: int) -> str:
    """A job array of Slurm that shares a command.

    Args:
        words: the command line, without `--shard`.
        name: what it is about, for the list of jobs.
        jobs: tasks of the array.
    """
    return f"""\
#!/bin/bash
#SBATCH --job-name=maap-{name}
#SBATCH --array=1-{jobs}
#SBATCH --time=04:00:00
#SBATCH --cpus-per-task=1
#SBATCH --mem=512M
#SBATCH --output=%x-%A_%a.log
#SBATCH --signal=B:USR1@120
# Two minutes before the time is up maap ends in order with 3: submit the script again for the rest.
# data_dir and registry_dir have to be folders that all nodes share. downloads.parallel counts in each task,
# downloads.parallel_total and downloads.rate_total limit all of them together.
exec {shlex.join([*words, "--shard", "slurm", "--log-times", "--quiet"])}
"""


def cronjob_manifest(words: Sequence[str], name: str, jobs: int) -> str:
    """A CronJob of Kubernetes, as YAML, whose indexed Job shares a command.

    Args:
        words: the command line, without `--shard`.
        name: what it is about; letters, digits and `-` of it are kept.
        jobs: completions of the Job.
    """
    label = "".join(sign if sign.isalnum() else "-" for sign in f"maap-{name.lower()}")
    label = label[:45].rstrip("-")  # the names of its jobs are longer, and none may end with one
    command = [*words, "--shard", f"k8s/{jobs}", "--log-times", "--quiet"]
    lines = "\n".join(f"                - {_quoted(word)}" for word in command)
    return f"""\
# Fill in the image, the secret and the claim. The volume holds data_dir and registry_dir for all pods.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {label}
spec:
  schedule: "0 6 * * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      completionMode: Indexed
      completions: {jobs}
      parallelism: {jobs}
      backoffLimitPerIndex: 3
      podFailurePolicy:
        rules:
          # 2: the token is dead; 4: the request is wrong. Neither gets better by itself.
          - action: FailIndex
            onExitCodes:
              operator: In
              values: [2, 4]
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 60
          containers:
            - name: maap
              image: IMAGE_WITH_MAAP_TUI
              command:
{lines}
              env:
                - name: MAAP_TOKEN
                  valueFrom:
                    secretKeyRef:
                      name: maap-token
                      key: token
                - name: MAAP_DATA_DIR
                  value: /maap/data
                - name: MAAP_REGISTRY_DIR
                  value: /maap/registry
              volumeMounts:
                - name: maap
                  mountPath: /maap
          volumes:
            - name: maap
              persistentVolumeClaim:
                claimName: maap
"""


def _quoted(text: str) -> str:
    """A text as a double-quoted scalar of YAML."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
