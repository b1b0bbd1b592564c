// SPDX-License-Identifier: GPL-2.0-or-later
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace synward::bpf_test {

namespace {

std::string last_words;

// Kept, not printed: the verifier's log matters only when the load fails.
int remember(libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG) return 0;
    char line[4096];
    std::vsnprintf(line, sizeof line, format, arguments);
    last_words += line;
    return 0;
}

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno) + "\n" + last_words);
}

bool is_table(const std::string& name) {
    return name == "sw_tickets";
}

}  // namespace

void Object::Close::operator()(bpf_object* object) const {
    bpf_object__close(object);
}

Object::Object(const std::string& path) {
    libbpf_set_print(remember);
    last_words.clear();
    object_.reset(bpf_object__open_file(path.c_str(), nullptr));
    if (!object_) fail("cannot open " + path);
    bpf_map* each;
    bpf_object__for_each_map(each, object_.get()) {
        // An empty table of a quarter of a million buckets takes a millisecond to walk.
        if (is_table(bpf_map__name(each))) bpf_map__set_max_entries(each, 4096);
        if (bpf_map__name(each) == std::string("sw_flows")) bpf_map__set_max_entries(each, 1 << kFlowShift);
        if (bpf_map__name(each) == std::string("sw_exact")) bpf_map__set_max_entries(each, 2 << kSourceShift);
        if (bpf_map__name(each) == std::string("sw_gate")) bpf_map__set_max_entries(each, 2 << kSourceShift);
    }
    if (bpf_object__load(object_.get())) fail("cannot load " + path);
    xdp_ = this->program(SW_PROGRAM_XDP);
    if (xdp_ < 0) throw std::runtime_error(path + " has no program named " SW_PROGRAM_XDP);
    void* memory = mmap(nullptr, sizeof(sw_memory), PROT_READ | PROT_WRITE, MAP_SHARED, map("sw_memory"), 0);
    if (memory == MAP_FAILED) fail("cannot map sw_memory");
    memory_ = static_cast<std::uint8_t*>(memory);
}

int Object::program(const std::string& name) const {
    const bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
    return program ? bpf_program__fd(program) : -1;
}

bool Object::has_map(const std::string& name) const {
    return bpf_object__find_map_by_name(object_.get(), name.c_str());
}

int Object::map(const std::string& name) const {
    const bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
    if (!map) throw std::runtime_error("the object has no map " + name);
    return bpf_map__fd(map);
}

int Object::checked_map(const std::string& name, std::size_t key, std::size_t value) const {
    const bpf_map* map = bpf_object__find_map_by_name(object_.get(), name.c_str());
    if (!map) throw std::runtime_error("the object has no map " + name);
    if (bpf_map__key_size(map) != key || bpf_map__value_size(map) != value)
        throw std::runtime_error("map " + name + " has keys of " + std::to_string(bpf_map__key_size(map)) +
                                 " and values of " + std::to_string(bpf_map__value_size(map)) +
                                 " bytes, not " + std::to_string(key) + " and " + std::to_string(value));
    return bpf_map__fd(map);
}

// The parts of sw_memory go by names of their own here: sw_config, sw_ports ...
void* Object::part(const std::string& name, const void* key, std::size_t size) const {
    struct Part {
        const char* name;
        std::size_t offset, size, count;
    };
    static constexpr Part parts[] = {
        {"sw_config", offsetof(sw_memory, config), sizeof(sw_config), 1},
        {"sw_state", offsetof(sw_memory, state), sizeof(sw_state), SW_SERVICES},
        {"sw_services", offsetof(sw_memory, services), sizeof(sw_service), SW_GENERATIONS * SW_SERVICES},
        {"sw_filter", offsetof(sw_memory, filter), sizeof(sw_filter), 1},
        {"gates", offsetof(sw_memory, gate), sizeof(sw_gate), 1},
        {"sw_ports", offsetof(sw_memory, ports), sizeof(sw_ports), SW_GENERATIONS},
    };
    for (const Part& p : parts) {
        if (name != p.name) continue;
        std::uint32_t index = 0;
        std::memcpy(&index, key, sizeof index);
        if (size != p.size || index >= p.count) throw std::runtime_error("no such element of " + name);
        return memory_ + p.offset + index * p.size;
    }
    return nullptr;
}

void Object::read_raw(const std::string& name, const void* key, std::size_t key_size, void* value,
                      std::size_t size) const {
    if (const void* at = part(name, key, size)) {
        std::memcpy(value, at, size);
        return;
    }
    if (bpf_map_lookup_elem(checked_map(name, key_size, size), key, value)) fail("cannot read " + name);
}

void Object::write_raw(const std::string& name, const void* key, std::size_t key_size, const void* value,
                       std::size_t size) const {
    if (void* at = part(name, key, size)) {
        std::memcpy(at, value, size);
        return;
    }
    if (bpf_map_update_elem(checked_map(name, key_size, size), key, value, BPF_ANY))
        fail("cannot write " + name);
}

void Object::clear(const std::string& name) const {
    const int fd = map(name);
    std::uint8_t key[64];
    while (!bpf_map_get_next_key(fd, nullptr, key))
        if (bpf_map_delete_elem(fd, key)) fail("cannot clear " + name);
}

Object::Run Object::run(View frame) const {
    Bytes out(frame.size() + 512);
    xdp_md in{}, seen{};
    in.data_end = static_cast<std::uint32_t>(frame.size());
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<std::uint32_t>(frame.size()),
                .data_size_out = static_cast<std::uint32_t>(out.size()), .ctx_in = &in, .ctx_out = &seen,
                .ctx_size_in = sizeof in, .ctx_size_out = sizeof seen, .repeat = 1);
    if (bpf_prog_test_run_opts(xdp_, &options)) fail("BPF_PROG_TEST_RUN");
    out.resize(options.data_size_out);
    const auto start = out.begin() + static_cast<long>(seen.data);  // behind the metadata
    return {
        .action = options.retval, .frame = Bytes(start, out.end()), .metadata = Bytes(out.begin(), start)};
}

void Object::walk() const {
    const bpf_program* iterator = bpf_object__find_program_by_name(object_.get(), SW_PROGRAM_LEARN);
    bpf_link* link = iterator ? bpf_program__attach_iter(iterator, nullptr) : nullptr;
    if (!link) fail("attach " SW_PROGRAM_LEARN);
    const int fd = bpf_iter_create(bpf_link__fd(link));
    char ignored[256];
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0) got = ::read(fd, ignored, sizeof ignored);
    const int error = errno;
    if (fd >= 0) ::close(fd);
    bpf_link__destroy(link);
    errno = error;
    if (got < 0) fail("run " SW_PROGRAM_LEARN);
}

}  // namespace synward::bpf_test
