# The persistent shell of a sandbox. Two loops: the outer one starts a shell and says when it ended, the inner one is the
# shell that commands run in. Standard input carries commands, standard output carries status frames, standard error
# carries the commands' output. A frame ends with NUL:
#   host -> shell   DIRECTORY \0 COMMAND \0        an empty DIRECTORY means the current one
#   shell -> host   r PID \0                       a shell is ready
#                   d STATUS \0                    the command is done
#                   x STATUS \0                    the shell itself ended
# The mark after a command's output lets the host know that it has read all of it.
exec 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1
__rd_inner='
builtin printf "r %d\0" "$$" >&4
while IFS= builtin read -r -d "" __rd_dir <&3 && IFS= builtin read -r -d "" __rd_cmd <&3; do
  __rd_old=
  if [ -n "$__rd_dir" ]; then
    __rd_old=$PWD
    if ! builtin cd -- "$__rd_dir" 2>/dev/null; then __rd_cmd="echo \"cd: no such directory\"; (exit 1)"; __rd_old=; fi
  fi
  builtin eval "$__rd_cmd" </dev/null >&5 2>&5 3<&- 4>&- 5>&-
  __rd_status=$?
  if [ -n "$__rd_old" ]; then builtin cd -- "$__rd_old" 2>/dev/null; fi
  builtin printf "\0%s\0" "$REPODOJO_MARK" >&5
  builtin printf "d %d\0" "$__rd_status" >&4
done
exit 0
'
while :; do
  BASH_ENV= ENV= /bin/bash --norc --noprofile -c "$__rd_inner" bash
  builtin printf 'x %d\0' "$?" >&4 || exit 0
done
