# Sourced by package.sh: `make_deb FILE` makes the Debian package of what a node needs, Node.js included.

# The newest version of the C library that what is in a folder asks for.
needed_libc() {
  find "$1" -type f -exec sh -c 'readelf -V "$@" 2>/dev/null' sh {} + | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -V | tail -n 1
}

# As dpkg(1) counts: each file and folder takes at least 1 KiB, whatever disk they are on.
installed_size() { find "$1" -printf '%s %y\n' | awk '{ total += $2 == "f" ? int(($1 + 1023) / 1024) : 1 } END { print total }'; }

packed() { gzip -9 --no-name >"$1"; }

deb_files() {
  local root=$1 lib=$1/usr/lib/godwit doc=$1/usr/share/doc/godwit page
  mkdir -p "$lib" "$doc" "$root"/usr/{bin,lib/systemd/system,share/man/man1,share/lintian/overrides}
  cp -r "${programs[@]}" "$node" "$lib"
  # They are started by the Node.js beside them.
  sed -i '1{/^#!/d}' "$lib"/*.cjs
  cp scripts/{get-criu.sh,setup-criu.sh,machine.sh} "$lib"
  mv "$lib/get-criu.sh" "$lib/get-criu"
  cp resources/debian/godwit "$root/usr/bin"
  # The same that `godwit agent --start` would write.
  sed -e 's|@CONDITION@|/etc/godwit/agent.json|' \
    -e 's|@COMMAND@|/usr/lib/godwit/node /usr/lib/godwit/agent.cjs /etc/godwit/agent.json|' \
    resources/godwit-agent.service >"$root/usr/lib/systemd/system/godwit-agent.service"
  for page in docs/man/*.1; do packed "$root/usr/share/man/man1/$(basename "$page").gz" <"$page"; done
  cp docs/config.example.json docs/{configuration,service,nodes,security}.md "$doc"
  packed "$doc/NEWS.gz" <CHANGELOG.md
  packed "$doc/changelog.gz" <<CHANGES
godwit ($version) unstable; urgency=medium

  * What is new in this version is in NEWS.gz.

 -- $(sed -n 's/^Maintainer: //p' resources/debian/control)  $(date --utc --date="@$SOURCE_DATE_EPOCH" -R)
CHANGES
  {
    printf 'Godwit, %s\n\n' "$version"
    cat LICENSE
    printf '\n\nWhat others have written, within the programs of Godwit:\n\n'
    cat THIRD_PARTY_NOTICES.md
    printf '\n\nNode.js, /usr/lib/godwit/node:\n\n'
    cat "$(dirname "$node")/../LICENSE"
  } >"$doc/copyright"
  cp resources/debian/lintian-overrides "$root/usr/share/lintian/overrides/godwit"
}

deb_control() {
  local root=$1 script
  mkdir "$root/DEBIAN"
  (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$work/md5sums"
  sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$(deb_architecture)|" -e "s|@LIBC@|$(needed_libc "$root/usr")|" \
    -e "s|@SIZE@|$(installed_size "$root/usr")|" resources/debian/control >"$root/DEBIAN/control"
  mv "$work/md5sums" "$root/DEBIAN"
  for script in postinst prerm postrm; do cp "resources/debian/$script" "$root/DEBIAN"; done
}

deb_architecture() { case "$arch" in x64) echo amd64 ;; *) echo "$arch" ;; esac; }

make_deb() {
  local root=$work/deb
  deb_files "$root"
  deb_control "$root"
  find "$root" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
  chmod 755 "$root"/DEBIAN/p* "$root"/usr/bin/godwit "$root"/usr/lib/godwit/{node,get-criu,godwit-helper,godwit-homefs} \
    "$root"/usr/lib/godwit/godwit-live/{init,boot,lease,join,leave}
  # Not xz, which takes a minute for what is a fifth of it smaller; not zstd, which Debian's own tools refuse.
  dpkg-deb --root-owner-group -Zgzip -z6 --build "$root" "$1" >"$work/said" 2>&1 || {
    cat "$work/said" >&2
    return 1
  }
}
