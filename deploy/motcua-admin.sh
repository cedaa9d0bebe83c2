#!/bin/sh
# As /usr/local/bin/motcua: runs one command as the service runs, with its user, settings and data.
#   sudo motcua doctor          sudo motcua staff add ten.can.bo --role admin
# Files are named by their whole path, and are read and written by the user motcua.
if [ -t 0 ] && [ -t 1 ]; then how=--pty; else how=--pipe; fi
exec systemd-run --quiet --wait --collect "$how" --uid=motcua --gid=motcua --working-directory=/opt/motcua \
	--property=EnvironmentFile=-/etc/motcua/motcua.env --property=UMask=0077 \
	--setenv=MOTCUA_VAR_DIR=/var/lib/motcua --setenv=PYTHONDONTWRITEBYTECODE=1 \
	/opt/motcua/.venv/bin/motcua "$@"
