// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <stdexcept>

namespace synward::bench {
namespace {

std::vector<uint8_t> from_hex(const std::string& text) {
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2) {
        unsigned byte = 0;
        if (sscanf(text.c_str() + i, "%2x", &byte) != 1) break;
        bytes.push_back(static_cast<uint8_t>(byte));
    }
    if (bytes.size() * 2 != text.size())
        throw std::runtime_error(fmt::format("'{}' is not in hexadecimal bytes", text));
    return bytes;
}

// The map of that name among those the program uses.
Fd find_map(int program, const std::string& name) {
    std::vector<uint32_t> ids(64);
    bpf_prog_info info{};
    info.nr_map_ids = static_cast<uint32_t>(ids.size());
    info.map_ids = reinterpret_cast<uint64_t>(ids.data());
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return Fd();
    for (uint32_t i = 0; i < std::min<uint32_t>(info.nr_map_ids, 64); ++i) {
        Fd map(bpf_map_get_fd_by_id(ids[i]));
        bpf_map_info about{};
        size = sizeof(about);
        if (map && bpf_obj_get_info_by_fd(map.get(), &about, &size) == 0 && name == about.name) return map;
    }
    return Fd();
}

}  // namespace

void add_peer_options(CLI::App& command, PeerOptions& options) {
    command.add_option(
        "--peer", options.peers,
        "another XDP program to measure: NAME=FILE.o, NAME=FILE.o:PROGRAM or NAME=PINNED-PATH");
    command.add_option(
        "--map", options.maps,
        "set an element of a peer's map before the run: MAP=KEY:VALUE, both as hexadecimal bytes");
}

Peer Peer::object(const std::string& name, const std::string& file, const std::string& program) {
    Peer peer;
    peer.name_ = name;
    peer.object_ = BpfObject::file(file, [](bpf_object* object) {
        bpf_program* each;
        bpf_object__for_each_program(each, object) {
            // only what can be run here; a peer's tc program may need what this kernel lacks
            bpf_program__set_autoload(each, bpf_program__type(each) == BPF_PROG_TYPE_XDP);
        }
    });
    if (!program.empty()) {
        peer.program_ = peer.object_->program(program);
        return peer;
    }
    bpf_program* each;
    bpf_object__for_each_program(each, peer.object_->get()) {
        if (peer.program_ < 0 && bpf_program__type(each) == BPF_PROG_TYPE_XDP)
            peer.program_ = bpf_program__fd(each);
    }
    if (peer.program_ < 0) throw std::runtime_error(fmt::format("no XDP program in {}", file));
    return peer;
}

Peer Peer::pinned(const std::string& name, const std::string& path) {
    Peer peer;
    peer.name_ = name;
    peer.fd_ = Fd(bpf_obj_get(path.c_str()));
    if (!peer.fd_)
        throw std::runtime_error(fmt::format("no BPF program is pinned at {}: {}", path, strerror(errno)));
    peer.program_ = peer.fd_.get();
    return peer;
}

Peer Peer::id(const std::string& name, uint32_t id) {
    Peer peer;
    peer.name_ = name;
    peer.fd_ = Fd(bpf_prog_get_fd_by_id(id));
    if (!peer.fd_) throw std::runtime_error(fmt::format("no BPF program has id {}: {}", id, strerror(errno)));
    peer.program_ = peer.fd_.get();
    return peer;
}

Peer Peer::attached(const std::string& interface) {
    const unsigned index = if_nametoindex(interface.c_str());
    uint32_t id = 0;
    if (index == 0)
        throw std::runtime_error(fmt::format("no interface {} in this network namespace", interface));
    if (bpf_xdp_query_id(static_cast<int>(index), 0, &id) != 0 || id == 0)
        throw std::runtime_error(fmt::format("no XDP program is attached to {}", interface));
    return Peer::id(interface, id);
}

void Peer::set(const std::string& map, const std::string& key, const std::string& value) const {
    const Fd fd = find_map(program_, map);
    if (!fd) throw std::runtime_error(fmt::format("{} uses no map {}", name_, map));
    auto key_bytes = from_hex(key), value_bytes = from_hex(value);
    bpf_map_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0 || info.key_size != key_bytes.size() ||
        info.value_size != value_bytes.size())
        throw std::runtime_error(fmt::format("map {} of {} has keys of {} and values of {} bytes", map, name_,
                                             info.key_size, info.value_size));
    if (bpf_map_update_elem(fd.get(), key_bytes.data(), value_bytes.data(), BPF_ANY) != 0)
        throw std::runtime_error(fmt::format("cannot write map {} of {}: {}", map, name_, strerror(errno)));
}

std::vector<Peer> open_peers(const PeerOptions& options) {
    std::vector<Peer> peers;
    for (const auto& text : options.peers) {
        const auto equals = text.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
            throw std::runtime_error(
                fmt::format("--peer '{}': NAME=FILE.o, NAME=FILE.o:PROGRAM or NAME=PINNED-PATH", text));
        const auto name = text.substr(0, equals), path = text.substr(equals + 1);
        const auto colon = path.rfind(':');
        const auto file = path.substr(0, colon);
        if (file.size() > 2 && file.ends_with(".o"))
            peers.push_back(
                Peer::object(name, file, colon == std::string::npos ? "" : path.substr(colon + 1)));
        else
            peers.push_back(Peer::pinned(name, path));
    }
    for (const auto& text : options.maps) {
        const auto equals = text.find('='), colon = text.find(':', equals == std::string::npos ? 0 : equals);
        if (equals == std::string::npos || colon == std::string::npos)
            throw std::runtime_error(fmt::format("--map '{}': MAP=KEY:VALUE", text));
        bool found = false;
        for (const auto& peer : peers) {
            if (!find_map(peer.program(), text.substr(0, equals))) continue;
            peer.set(text.substr(0, equals), text.substr(equals + 1, colon - equals - 1),
                     text.substr(colon + 1));
            found = true;
        }
        if (!found) throw std::runtime_error(fmt::format("--map '{}': no peer uses that map", text));
    }
    return peers;
}

}  // namespace synward::bench
