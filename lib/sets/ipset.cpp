// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/ipset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

// After the system's headers: it brings its own copy of linux/netfilter.h's names.
#include <libipset/ipset.h>

namespace synward {

// The callbacks know the session by its address, which must not move.
struct Ipset::Impl {
    struct ipset* handle = nullptr;
    std::string output;
    std::string message;
    int status = 0;

    ~Impl() {
        if (handle) ipset_fini(handle);
    }

    // libipset's own handlers call exit().
    static int on_error(struct ipset*, void* context, int status, const char* format, ...)
        __attribute__((format(printf, 4, 5))) {
        char text[1024];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        static_cast<Impl*>(context)->note(status, text);
        return -1;
    }

    static int on_session_error(struct ipset* handle, void* context) {
        auto& impl = *static_cast<Impl*>(context);
        const struct ipset_session* session = ipset_session(handle);
        const char* text = ipset_session_report_msg(session);
        const bool warning = ipset_session_report_type(session) == IPSET_WARNING;
        if (text && *text && !warning) impl.note(IPSET_SESSION_PROBLEM, text);
        ipset_session_report_reset(ipset_session(handle));
        return warning ? 0 : -1;
    }

    static int on_output(struct ipset_session*, void* context, const char* format, ...)
        __attribute__((format(printf, 3, 4))) {
        char text[4096];
        va_list arguments;
        va_start(arguments, format);
        const int length = std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        if (length < 0) return length;
        static_cast<Impl*>(context)->output.append(text, std::min<std::size_t>(length, sizeof text - 1));
        return 0;
    }

    void note(int kind, std::string text) {
        while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
        status = kind ? kind : IPSET_OTHER_PROBLEM;
        if (!message.empty()) message += "; ";
        message += text;
    }

    [[nodiscard]] ErrorCode code() const {
        if (message.find("does not exist") != message.npos) return ErrorCode::missing;
        if (message.find("not permitted") != message.npos || message.find("must be root") != message.npos)
            return ErrorCode::privilege;
        if (message.find("not supported") != message.npos) return ErrorCode::unsupported;
        const bool misspelt = message.find("Syntax error") != message.npos;
        return misspelt || status == IPSET_PARAMETER_PROBLEM ? ErrorCode::usage : ErrorCode::system;
    }
};

Ipset::Ipset(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ipset::Ipset(Ipset&&) noexcept = default;
Ipset& Ipset::operator=(Ipset&&) noexcept = default;
Ipset::~Ipset() = default;

Result<Ipset> Ipset::create() {
    static const bool loaded = (ipset_load_types(), true);
    (void)loaded;
    auto impl = std::make_unique<Impl>();
    impl->handle = ipset_init();
    if (!impl->handle) return fail(ErrorCode::unsupported, "cannot start libipset: is ip_set in the kernel?");
    ipset_custom_printf(impl->handle, Impl::on_error, Impl::on_session_error, Impl::on_output, impl.get());
    return Ipset(std::move(impl));
}

Result<std::string> Ipset::run(std::string_view command) {
    impl_->output.clear();
    impl_->message.clear();
    impl_->status = 0;
    // A session remembers -exist of the command before.
    ipset_envopt_unset(ipset_session(impl_->handle), IPSET_ENV_EXIST);
    std::string line(command);  // libipset writes into it
    const int result = ipset_parse_line(impl_->handle, line.data());
    // A failed command may return 0 and speak through the callback only.
    if (result >= 0 && impl_->message.empty()) return std::move(impl_->output);
    return fail(impl_->code(),
                fmt::format("ipset {}: {}", command,
                            impl_->message.empty() ? "failed without a word" : impl_->message));
}

}  // namespace synward
