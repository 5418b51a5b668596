#!/bin/bash
# Runs in the guest, as its first program: a cgroup layout as a login makes it, then the tests; prints their status.
# Variables: CHECKOUT, USER_ID (0: root), REST (pytest's arguments).
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/tmp/home
export PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
mkdir -p "$HOME"
scope=/sys/fs/cgroup/user.slice/user-$USER_ID
mkdir -p "$scope/session.scope"
echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
echo "+memory +pids +cpu" >/sys/fs/cgroup/user.slice/cgroup.subtree_control
if [ "$USER_ID" != 0 ]; then
  # The interpreter may lie in the home of another user; this changes nothing on the host.
  folder=$(readlink -f "$CHECKOUT/.venv/bin/python")
  while folder=$(dirname "$folder") && [ "$folder" != / ]; do chmod a+x "$folder"; done
  chown "$USER_ID:$USER_ID" "$HOME" "$scope" "$scope"/cgroup.{procs,subtree_control,threads} "$scope/session.scope" \
    "$scope/session.scope/cgroup.procs"
fi
echo $$ >"$scope/session.scope/cgroup.procs"
cd "$CHECKOUT" || exit
echo "Linux $(uname -r), $(stat -fc %T /sys/fs/cgroup), user $USER_ID, group $(cat /proc/self/cgroup)"
as=(setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups)
"${as[@]}" .venv/bin/repodojo doctor
eval "arguments=($REST)"
"${as[@]}" .venv/bin/python -m pytest -p no:cacheprovider -q -m "not docker" "${arguments[@]}"
echo "STATUS $?"
ls -d /sys/fs/cgroup/repodojo/* "$scope"/repodojo/* 2>/dev/null | grep -v '/[a-z.]*\.[a-z_.]*$' | sed 's/^/LEFT /'
echo o >/proc/sysrq-trigger
sleep 60
