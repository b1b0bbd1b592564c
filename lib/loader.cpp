// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <xdp/libxdp.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "lib/abi/maps.h"
#include "lib/refusal.h"

namespace synward {
namespace {

// The verifier's log ends with what matters.
constexpr std::size_t most_kept = 1200;
thread_local std::string kept;

int keep(const char* format, va_list arguments) {
    // The whole log of the verifier is one message.
    char* message = nullptr;
    const int length = vasprintf(&message, format, arguments);
    if (length < 0) return length;
    kept += message;
    std::free(message);
    if (kept.size() > 2 * most_kept) kept.erase(0, kept.size() - most_kept);
    return length;
}

int print_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
    return level == LIBBPF_WARN ? keep(format, arguments) : 0;
}

int print_libxdp(libxdp_print_level level, const char* format, va_list arguments) {
    return level == LIBXDP_WARN ? keep(format, arguments) : 0;
}

// Globals get a map named after the object file: "synward_.rodata" from one
// loader, "synward.rodata" from another. What follows the last dot is the same.
std::string_view section_of(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    return dot == name.npos ? std::string_view{} : name.substr(dot);
}

int matching_fd(const MapSet& maps, const bpf_map* map) {
    const std::string_view name = bpf_map__name(map);
    if (const int fd = maps.fd(name); fd >= 0) return fd;
    if (section_of(name).empty()) return -1;
    for (const auto& [other, entry] : maps.all())
        if (section_of(other) == section_of(name)) return entry.fd.get();
    return -1;
}

}  // namespace

void capture_libbpf_messages() {
    static std::once_flag once;
    std::call_once(once, [] {
        libbpf_set_print(print_libbpf);
        libxdp_set_print(print_libxdp);
    });
    kept.clear();
}

std::string take_libbpf_messages() {
    std::string text = std::exchange(kept, {});
    if (text.size() > most_kept) text = "..." + text.substr(text.size() - most_kept);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& c : text)
        if (c == '\n') c = '|';
    return text;
}

void LoadedProgram::Close::operator()(bpf_object* object) const {
    bpf_object__close(object);
}

int LoadedProgram::fd() const {
    return bpf_program__fd(program_);
}

Result<LoadedProgram> LoadedProgram::open(const std::string& path, const char* program) {
    capture_libbpf_messages();
    Object object(bpf_object__open_file(path.c_str(), nullptr));
    if (!object) {
        auto failure = fail_errno(errno, fmt::format("cannot open the BPF object {}", path));
        failure.value().message += "; " + take_libbpf_messages();
        return failure;
    }
    bpf_program* wanted = nullptr;
    bpf_program* each = nullptr;
    bpf_object__for_each_program(each, object.get()) {
        const bool chosen = std::string_view(bpf_program__name(each)) == program;
        bpf_program__set_autoload(each, chosen);
        if (chosen) wanted = each;
    }
    if (!wanted)
        return fail(
            ErrorCode::mismatch,
            fmt::format("the BPF object {} has no program '{}'; it is not synward's, or of another version",
                        path, program));
    return LoadedProgram(std::move(object), wanted);
}

Result<void> LoadedProgram::load(const std::string& path, const char* program) {
    const int error = bpf_object__load(object_.get());
    if (!error) return {};
    return fail_load(-error, fmt::format("the program '{}' of {}", program, path), std::exchange(kept, {}));
}

Result<LoadedProgram> LoadedProgram::with_own_maps(const std::string& path, const char* program,
                                                   std::uint32_t flows, std::uint32_t sources) {
    auto loaded = open(path, program);
    if (!loaded) return loaded;
    // Powers of two: sets are chosen by so many bits of a hash.
    sources = std::bit_ceil(std::clamp<std::uint32_t>(sources, SW_SOURCES_LEAST, 1u << 26));
    const std::uint32_t tables = SW_GENERATIONS * SW_SOURCE_SETS(sources);
    const std::pair<const char*, std::uint32_t> sizes[] = {
        {"sw_flows", std::bit_ceil(std::max<std::uint32_t>(flows / SW_FLOW_WAYS, 1))},
        {"sw_exact", tables},
        {"sw_gate", tables}};
    for (const auto& [name, entries] : sizes) {
        bpf_map* map = bpf_object__find_map_by_name(loaded->object_.get(), name);
        if (!map)
            return fail(ErrorCode::mismatch,
                        fmt::format("the BPF object {} has no map {}; it is of another version", path, name));
        bpf_map__set_max_entries(map, entries);
    }
    if (auto done = loaded->load(path, program); !done) return tl::unexpected(done.error());
    return loaded;
}

Result<LoadedProgram> LoadedProgram::with_maps(const std::string& path, const char* program,
                                               const MapSet& maps) {
    auto loaded = open(path, program);
    if (!loaded) return loaded;
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, loaded->object_.get()) {
        const int fd = matching_fd(maps, map);
        // A map that only this program uses (or libbpf's own) is its own matter.
        if (fd < 0) continue;
        if (const int error = bpf_map__reuse_fd(map, fd))
            return fail_errno(-error,
                              fmt::format("cannot share the map {} with '{}'", bpf_map__name(map), program));
    }
    if (auto done = loaded->load(path, program); !done) return tl::unexpected(done.error());
    return loaded;
}

}  // namespace synward
