# shellcheck shell=bash
# The second half of `setup.sh vscode`, which sources this: a VS Code server (the one that code-server's npm package
# carries: it is VS Code itself, and no desktop is needed for it) and a browser that shows it.

# --- the browser -----------------------------------------------------------------------------------------------

# A snap's browser sees neither the machine's /tmp nor its sockets.
find_browser() {
  local name
  for name in chromium google-chrome-stable google-chrome chromium-browser; do
    has $name && [[ $(readlink -f "$(command -v $name)") != */snap* ]] && command -v $name && return
  done
  return 1
}

if ! find_browser >/dev/null; then
  is_debian && ! grep -qi '^ID=ubuntu' /etc/os-release ||
    stop "missing: chromium" "install Chromium (not the snap) or Google Chrome, then run this again"
  apt_install chromium
  hash -r
  find_browser >/dev/null || stop "still missing after the installation: chromium"
fi
say "browser: $(find_browser)"

# --- VS Code ---------------------------------------------------------------------------------------------------

# What costs time to install and is not used here: AI agents, other systems' binaries.
spare_from_vscode() {
  rm -rf node_modules/@github/copilot-sdk* node_modules/@github/copilot node_modules/@github/copilot-* \
    node_modules/@microsoft/mxc-sdk extensions/copilot
  local others=node_modules/@vscode/ripgrep-universal/bin
  [ ! -d $others ] || find $others -mindepth 1 -maxdepth 1 ! -name "linux-$(node -p process.arch)" -exec rm -rf {} +
}

# Built beside its place and then renamed: what is there is whole.
get_vscode() {
  local version=$1 sha512=$2 place=$3 tools
  tools=$(cd "$(dirname "$tools_node")" && pwd)
  mkdir -p "$(dirname "$place")"
  vscode_work=$(mktemp -d "$place.XXXXXX")
  trap 'rm -rf "$vscode_work"' EXIT
  (
    cd "$vscode_work"
    # Its npm wants the Node.js that it is made for.
    PATH=$tools:$PATH
    npm pack --silent "code-server@$version" >/dev/null
    echo "$sha512  code-server-$version.tgz" | sha512sum --check --quiet - ||
      stop "code-server-$version.tgz is not what it should be" "its sha512 is in test/vscode/versions.json"
    tar -xzf "code-server-$version.tgz" package/lib/vscode
    cd package/lib/vscode
    # By its own npm-shrinkwrap.json. Not \`npm ci\`, which finds that file not in step with its package.json.
    npm install --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
    spare_from_vscode
  )
  chmod 755 "$vscode_work/package/lib/vscode"
  rm -rf "$place"
  mv "$vscode_work/package/lib/vscode" "$place"
  rm -rf "$vscode_work"
  trap - EXIT
}

vscode_version() { "$tools_node" -p "require('./test/vscode/versions.json').$1.$2"; }

# have_vscode NAME: gets that one of test/vscode/versions.json, if it is not there.
have_vscode() {
  local version place
  version=$(vscode_version "$1" codeServer)
  place=$state/vscode/$version
  if [ ! -e "$place/out/server-main.js" ]; then
    say "getting VS Code $(vscode_version "$1" vscode) into $place"
    get_vscode "$version" "$(vscode_version "$1" sha512)" "$place"
  fi
  say "VS Code: $(vscode_version "$1" vscode) ($place)"
}

have_vscode current
# The oldest that the extension says it runs in: only for who asks, it is not among what every change must pass.
if [ "${2:-}" = minimum ]; then
  have_vscode minimum
  # Its search program would come by an install script; the newer one's serves.
  searcher=$state/vscode/$(vscode_version minimum codeServer)/node_modules/@vscode/ripgrep/bin
  mkdir -p "$searcher"
  ln -sf "$state/vscode/$(vscode_version current codeServer)"/node_modules/@vscode/ripgrep-universal/bin/linux-*/rg "$searcher/rg"
fi
