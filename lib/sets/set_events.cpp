// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/set_events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "lib/loader.h"
#include "lib/object.h"

namespace synward {
namespace {

constexpr const char* object_name = "set_events.bpf.o";

Result<std::string> object_path(const std::string& wanted) {
    if (!wanted.empty()) return wanted;
    auto main = find_object();
    if (!main) return main;
    return (std::filesystem::path(*main).parent_path() / object_name).string();
}

}  // namespace

struct SetEvents::Impl {
    bpf_object* object = nullptr;
    std::vector<bpf_link*> links;
    ring_buffer* ring = nullptr;
    int counts = -1;  // the map of the programs' variables: `lost` alone

    // Of one consume().
    SetMirror* mirror = nullptr;
    std::size_t count = 0;
    std::uint32_t lost = 0;
    std::string last;
    SetOperation last_operation = SetOperation::create;

    ~Impl() {
        if (ring) ring_buffer__free(ring);
        for (bpf_link* link : links) bpf_link__destroy(link);
        if (object) bpf_object__close(object);
    }

    // As the programs count it.
    [[nodiscard]] std::uint32_t lost_now() const {
        std::uint32_t now = lost;
        const std::uint32_t zero = 0;
        (void)bpf_map_lookup_elem(counts, &zero, &now);
        return now;
    }
    static int take(void* context, void* data, std::size_t size) {
        auto& impl = *static_cast<Impl*>(context);
        const auto event = decode_set_event({static_cast<const std::uint8_t*>(data), size});
        // An object of another version: at least something happened.
        if (!event) {
            impl.mirror->report({}, SetOperation::flush);
            return 0;
        }
        impl.count++;
        if (event->lost != std::exchange(impl.lost, event->lost))
            impl.mirror->report({}, SetOperation::flush);
        // `ipset restore` makes an event of every few hundred lines.
        if (event->name == impl.last && event->operation == impl.last_operation && event->other.empty() &&
            event->entry.empty())
            return 0;
        impl.last = event->entry.empty() ? event->name : std::string_view();
        impl.last_operation = event->operation;
        impl.mirror->report(event->name, event->operation, event->entry);
        if (!event->other.empty()) impl.mirror->report(event->other, event->operation);
        return 0;
    }
};

SetEvents::SetEvents(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SetEvents::SetEvents(SetEvents&&) noexcept = default;
SetEvents& SetEvents::operator=(SetEvents&&) noexcept = default;
SetEvents::~SetEvents() = default;

Result<SetEvents> SetEvents::open(const std::string& object) {
    const auto path = object_path(object);
    if (!path) return tl::unexpected(path.error());
    struct stat space {};
    if (stat("/proc/thread-self/ns/net", &space))
        return fail_errno(errno, "cannot look at /proc/thread-self/ns/net");
    capture_libbpf_messages();
    const auto said = [](tl::unexpected<Error> failure) {
        std::string text = take_libbpf_messages();
        // Of a refused program, the first lines say why.
        if (text.size() > 300) text.resize(300);
        if (!text.empty()) failure.value().message += "; libbpf says: " + text;
        return failure;
    };
    auto impl = std::make_unique<Impl>();
    impl->object = bpf_object__open_file(path->c_str(), nullptr);
    if (!impl->object) return said(fail_errno(errno, fmt::format("cannot open the BPF object {}", *path)));

    bpf_map* map = nullptr;
    bool told = false;
    bpf_object__for_each_map(map, impl->object) {
        if (std::string_view(bpf_map__name(map)).ends_with(".rodata")) {
            const auto inode = static_cast<__u32>(space.st_ino);
            told = bpf_map__value_size(map) == sizeof inode &&
                   bpf_map__set_initial_value(map, &inode, sizeof inode) == 0;
        }
    }
    if (!told || !bpf_object__find_map_by_name(impl->object, "sw_set_events"))
        return fail(ErrorCode::mismatch, fmt::format("the BPF object {} is of another version", *path));
    if (const int error = bpf_object__load(impl->object)) {
        auto failure =
            fail(ErrorCode::unsupported,
                 fmt::format("the kernel does not let ip_set be traced: {}", std::strerror(-error)));
        // It was not for the program's sake: libbpf guesses only.
        return error == -EPERM ? failure : said(std::move(failure));
    }
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, impl->object) {
        bpf_link* link = bpf_program__attach(program);
        if (!link)
            return said(
                fail(ErrorCode::unsupported,
                     fmt::format("the kernel does not let ip_set be traced: {}", std::strerror(errno))));
        impl->links.push_back(link);
    }
    bpf_object__for_each_map(map, impl->object) {
        if (std::string_view(bpf_map__name(map)).ends_with(".bss") &&
            bpf_map__value_size(map) == sizeof(std::uint32_t))
            impl->counts = bpf_map__fd(map);
    }
    if (impl->counts < 0)
        return fail(ErrorCode::mismatch, fmt::format("the BPF object {} is of another version", *path));
    impl->ring = ring_buffer__new(bpf_object__find_map_fd_by_name(impl->object, "sw_set_events"), Impl::take,
                                  impl.get(), nullptr);
    if (!impl->ring) return fail_errno(errno, "cannot read the ring buffer of set events");
    return SetEvents(std::move(impl));
}

int SetEvents::fd() const {
    return ring_buffer__epoll_fd(impl_->ring);
}

std::size_t SetEvents::consume(SetMirror& mirror) {
    impl_->mirror = &mirror;
    impl_->count = 0;
    impl_->last.clear();
    impl_->last_operation = SetOperation::create;
    ring_buffer__consume(impl_->ring);
    // The last ones may be among those that found no place.
    if (const std::uint32_t lost = impl_->lost_now(); lost != std::exchange(impl_->lost, lost))
        mirror.report({}, SetOperation::flush);
    return impl_->count;
}

}  // namespace synward
