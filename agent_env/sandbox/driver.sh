# The persistent shell of a sandbox. Two loops: the outer one, in plain sh, which starts faster and is smaller than bash,
# starts a shell and says when it ended; the inner one is the shell that commands run in. Standard input carries
# commands, standard output carries status frames, standard error carries the commands' output. A frame ends with NUL;
# each command has a number that its answer bears:
#   host -> shell   NUMBER \0 DIRECTORY \0 COMMAND \0   an empty DIRECTORY means the current one
#   shell -> host   r PID \0                            a shell is ready
#                   d NUMBER STATUS \0                  the command is done
#                   x STATUS \0                         the shell itself ended
# After a command's output comes \0MARK NUMBER\0 on the output, so that the host knows that it has read all of it; MARK
# is the first argument. The answer is given at the head of the loop, and that loop stands in another one, so that a
# bare `continue` or `break` in a command does no harm. TMOUT ends a `read` that waits long for the next command, with a
# status above 128.
unset BASH_ENV ENV
exec 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1
__rd_inner='
__rd_mark=$1 __rd_number=
set --
builtin printf "r %d\0" "$$" >&4
while :; do while __rd_status=$?; do
  if [ -n "$__rd_number" ]; then
    if [ -n "$__rd_old" ]; then builtin cd -- "$__rd_old" 2>/dev/null; fi
    builtin printf "\0%s %d\0" "$__rd_mark" "$__rd_number" >&5
    builtin printf "d %d %d\0" "$__rd_number" "$__rd_status" >&4
  fi
  until IFS= builtin read -r -d "" __rd_number <&3; do [ $? -gt 128 ] || { builtin kill -KILL "$PPID"; exit 0; }; done
  IFS= builtin read -r -d "" __rd_dir <&3 &&
    IFS= builtin read -r -d "" __rd_command <&3 || { builtin kill -KILL "$PPID"; exit 0; }
  __rd_old=
  if [ -n "$__rd_dir" ]; then
    __rd_old=$PWD
    if ! builtin cd -- "$__rd_dir" 2>/dev/null; then __rd_command="echo \"cd: no such directory\"; (exit 1)"; __rd_old=; fi
  fi
  builtin eval "$__rd_command" </dev/null >>/proc/self/fd/5 2>&1 3<&- 4>&- 5>&-
done; done
'
while :; do
  /bin/bash --norc --noprofile -c "$__rd_inner" bash "$1"
  printf 'x %d\0' "$?" >&4 || exit 0
done
